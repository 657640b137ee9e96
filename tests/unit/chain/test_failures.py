from __future__ import annotations

import pytest

from ledger_service.chain.failures import RANK, Failure, best, failure_of, meaning, outcome_of
from ledger_service.chain.rpc import RpcError
from ledger_service.domain.calls import Sent
from tests.peers.replay import NETWORKS, recording

#: (code, what the text begins with) -> what it means, for every refusal that real nodes gave.
KNOWN, USED, RETRY = Sent.KNOWN, Sent.NONCE_USED, Sent.RETRY
UNDERPRICED, REFUSED = Sent.UNDERPRICED, Sent.REFUSED
SAID: dict[tuple[int, str], Sent] = {
    # Besu
    (-32000, "Known transaction"): KNOWN,
    (-32001, "Nonce too low"): USED,
    (-32000, "Transaction nonce is too distant from current sender nonce"): RETRY,
    (-32003, "Intrinsic gas exceeds gas limit"): REFUSED,
    (-32005, "Transaction gas limit exceeds block gas limit"): REFUSED,
    (-32000, "Wrong chainId"): REFUSED,
    (-32602, "Invalid params"): REFUSED,
    (-32000, "Max priority fee per gas exceeds max fee per gas"): REFUSED,
    (-32000, "Replacement transaction underpriced"): UNDERPRICED,
    # geth and GoQuorum
    (-32000, "already known"): KNOWN,
    (-32000, "nonce too low"): USED,
    (-32000, "replacement transaction underpriced"): UNDERPRICED,
    (-32000, "Gas price not 0"): REFUSED,
    (-32000, "intrinsic gas too low"): REFUSED,
    (-32000, "exceeds block gas limit"): REFUSED,
    (-32000, "invalid chain id for signer"): REFUSED,
    (-32000, "invalid sender"): REFUSED,
    (-32000, "only replay-protected (EIP-155) transactions allowed over RPC"): REFUSED,
    (-32000, "rlp: "): REFUSED,
    (-32000, "invalid transaction v, r, s values"): REFUSED,
    (-32000, "transaction type not supported"): REFUSED,
    (-32000, "typed transaction too short"): REFUSED,
    (-32000, "empty typed transaction bytes"): REFUSED,
    (-32602, "invalid argument 0: json: cannot unmarshal"): REFUSED,
    (-32000, "insufficient funds for gas * price + value"): RETRY,
    (-32000, "max priority fee per gas higher than max fee per gas"): REFUSED,
    (-32000, "oversized data"): REFUSED,
}
#: Texts of the same programs that no recording holds.
PUBLISHED: dict[tuple[int, str], Sent] = {
    (-32000, "txpool is full"): RETRY,
    (-32000, "Transaction pool is full"): RETRY,
    (-32004, "Upfront cost exceeds account balance"): RETRY,
    (-32009, "Gas price below configured minimum gas price"): UNDERPRICED,
    (
        -32000,
        "max fee per gas less than block base fee: address 0x00, maxFeePerGas: 1",
    ): UNDERPRICED,
    (-32000, "transaction underpriced: tip needed 1, tip permitted 0"): UNDERPRICED,
    (-32005, "daily request limit exceeded"): RETRY,
    # A node's own trouble says nothing of the bytes.
    (-32603, "Internal error"): RETRY,
    (-32603, "something of Besu's own"): RETRY,
    (-32002, "request timed out"): RETRY,
    (-32000, "request timed out"): RETRY,
    (-32005, "slow down"): RETRY,
    (429, "Too Many Requests"): RETRY,
    (-32000, "unauthorized"): RETRY,
    (-32000, "database closed"): RETRY,
    (-32602, "another form is wanted"): REFUSED,
    # What nobody has written down yet may be either.
    (-32000, "the moon is in the wrong phase"): Sent.UNCLEAR,
    (-32007, "Sender account not authorized to send transactions"): Sent.UNCLEAR,
}


@pytest.mark.parametrize(("said", "meant"), [*SAID.items(), *PUBLISHED.items()])
def test_each_refusal_has_one_meaning(said: tuple[int, str], meant: Sent) -> None:
    assert outcome_of(RpcError(*said)) is meant


@pytest.mark.parametrize("network", NETWORKS)
def test_every_refusal_that_was_recorded_is_in_the_list(network: str) -> None:
    refusals = [
        RpcError(line.response["error"]["code"], line.response["error"]["message"])
        for line in recording(network).asked("eth_sendRawTransaction")
        if "error" in line.response
    ]

    unlisted = []
    for error in refusals:
        meanings = {
            meant
            for (code, begin), meant in SAID.items()
            if code == error.code and error.message.startswith(begin)
        }
        if meanings != {outcome_of(error)}:
            unlisted.append(error)
    assert refusals
    assert unlisted == []


def test_every_failure_has_a_meaning_and_a_text_that_a_node_says() -> None:
    said = {failure_of(RpcError(*words)) for words in [*SAID, *PUBLISHED]}

    assert said == set(Failure)
    assert {meaning(failure) for failure in Failure} == set(Sent) - {Sent.ACCEPTED}


def test_every_outcome_has_its_rank_and_the_best_of_several_counts() -> None:
    assert sorted(RANK) == sorted(Sent)
    assert best([Sent.REFUSED, Sent.RETRY, Sent.NONCE_USED]) is Sent.NONCE_USED
    assert best([Sent.REFUSED]) is Sent.REFUSED
    assert best([Sent.REFUSED, Sent.UNCLEAR]) is Sent.UNCLEAR
    assert best([Sent.UNCLEAR, Sent.RETRY]) is Sent.RETRY


def test_a_refusal_that_is_not_known_is_logged_with_its_text(
    capsys: pytest.CaptureFixture[str],
) -> None:
    outcome_of(RpcError(-32000, "the moon is in the wrong phase"))

    assert "the moon is in the wrong phase" in capsys.readouterr().out
