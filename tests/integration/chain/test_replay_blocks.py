"""The chain client over recorded answers of real networks: heads, blocks, seals, votes, halts."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace
from typing import Any

import pytest

from ledger_service.chain import proofs
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.rpc import RpcFailed
from ledger_service.domain import errors, headers, ids, seals
from ledger_service.domain.calls import Sent
from ledger_service.domain.headers import Header
from tests.peers.consortium import polling
from tests.peers.replay import END, NETWORKS, Recording, Replay, serving

QBFT = ("besu-qbft", "goquorum-qbft")


@pytest.fixture(params=NETWORKS)
async def replay(request: pytest.FixtureRequest) -> AsyncIterator[Replay]:
    async with serving(request.param) as served:
        yield served


@pytest.fixture
async def ledger(replay: Replay) -> AsyncIterator[ChainLedger]:
    opened = ChainLedger(replay.settings(), replay.deployment())
    yield opened
    await opened.close()


@pytest.fixture
def recorded(replay: Replay) -> Recording:
    return replay.recording


def variants(recorded: Recording) -> dict[int, list[tuple[str, Header]]]:
    """Return every header told, asked or pushed, by height: (hash, header), as different as they came."""
    found: dict[int, dict[tuple[str, ...], tuple[str, Header]]] = defaultdict(dict)
    for _, _, fields in (each for blocks in recorded.blocks.values() for each in blocks):
        if fields.get("miner") is None:  # geth's pending block
            continue
        number = int(fields["number"], 16)
        found[number][fields["hash"], fields["extraData"]] = (
            fields["hash"],
            headers.from_rpc(fields),
        )
    return {number: list(by.values()) for number, by in sorted(found.items())}


async def test_every_block_of_the_chain_hashes_to_its_name_and_names_its_parent(
    ledger: ChainLedger, replay: Replay
) -> None:
    head = await ledger.head()
    before: bytes = bytes(32)
    for number in range(head.number + 1):
        block = await ledger.block(number)
        assert block is not None
        fields = await ledger.ask("eth_getBlockByNumber", hex(number), False)
        header = headers.from_rpc(fields)
        proofs.check_hash(header, block.hash)
        assert (block.number, block.parent, header.parent) == (number, before, before)
        before = block.hash

    assert head.number > 70
    assert await ledger.block(head.number + 1000) is None
    assert not replay.missing


async def test_another_chain_behind_the_same_address_is_refused(
    replay: Replay, ledger: ChainLedger
) -> None:
    deployment = replay.deployment()
    stranger = ChainLedger(replay.settings(), replace(deployment, chain_id=4711))

    with pytest.raises(errors.WrongChain):
        await stranger.head()
    assert await stranger.send(b"\x02anything") is Sent.RETRY
    await stranger.close()
    assert (await ledger.head()).number > 70


class Tally:
    """Validators by votes: more than half of those in force decide, from the next block on."""

    def __init__(self, validators: tuple[ids.Address, ...]) -> None:
        self.validators = set(validators)
        self.votes: dict[tuple[ids.Address, bool], set[ids.Address]] = defaultdict(set)
        self.changes: list[list[Any]] = []

    def count(self, number: int, voter: ids.Address, vote: seals.Vote | None) -> None:
        if vote is None or vote.add is (vote.candidate in self.validators):
            return
        voters = self.votes[vote.candidate, vote.add]
        voters.add(voter)
        if len(voters & self.validators) <= len(self.validators) // 2:
            return
        (self.validators.add if vote.add else self.validators.discard)(vote.candidate)
        self.votes.clear()
        word = "add" if vote.add else "remove"
        self.changes.append([number, word, "0x" + vote.candidate.hex(), len(self.validators)])


def begin(recorded: Recording, genesis: Header) -> Tally:
    if "qbft" in recorded.network["kind"]:
        return Tally(tuple(ids.Address(v) for v in seals.qbft_extra(genesis).validators))
    return Tally(seals.clique_signers(genesis))


async def test_every_header_is_sealed_by_the_validators_that_votes_made(
    ledger: ChainLedger, recorded: Recording
) -> None:
    told = variants(recorded)
    qbft = "qbft" in recorded.network["kind"]
    tally = begin(recorded, told[0][0][1])
    check = seals.check_qbft if qbft else seals.check_clique
    for number in range(1, max(told) + 1):
        block = await ledger.block(number)
        assert block is not None
        for name, header in told[number]:
            assert "0x" + check(header, tally.validators).hex() == name
        chosen = next(header for name, header in told[number] if name == "0x" + block.hash.hex())
        if qbft:
            extra = seals.qbft_extra(chosen)
            assert set(extra.validators) == tally.validators
            tally.count(number, ids.Address(chosen.miner), extra.vote)
        else:
            tally.count(number, seals.clique_signer(chosen), seals.clique_vote(chosen))

    key = next(k for k in recorded.verification if "changes" in k)
    expected = [[n, word, who, count] for n, word, who, count in recorded.verification[key]]
    # The recording names the block that first has the new set, or the one that decided.
    assert [change[1:] for change in tally.changes] == [change[1:] for change in expected]
    assert all(abs(a[0] - b[0]) <= 1 for a, b in zip(tally.changes, expected, strict=True))


async def test_a_seal_from_outside_or_one_too_few_is_refused(recorded: Recording) -> None:
    told = variants(recorded)
    tally = begin(recorded, told[0][0][1])
    qbft = "qbft" in recorded.network["kind"]
    check = seals.check_qbft if qbft else seals.check_clique
    _, header = told[5][0]
    outside = seals.qbft_committers(header)[0] if qbft else seals.clique_signer(header)

    with pytest.raises(errors.BadProof):
        check(header, tally.validators - {outside})
    flipped = bytearray(header.extra)
    flipped[-20] ^= 1
    with pytest.raises(errors.BadProof):
        check(header.with_extra(bytes(flipped)), tally.validators)


async def test_two_nodes_give_one_block_with_different_seals(replay: Replay) -> None:
    told = variants(replay.recording)
    differing = [n for n, found in told.items() if len({name for name, _ in found}) < len(found)]

    if "qbft" in replay.recording.network["kind"]:
        assert len(differing) > 40
    else:
        assert differing == []
    for number in differing:
        for name, header in told[number]:
            assert header.keccak().hex() != name[2:]
            proofs.check_hash(header, bytes.fromhex(name[2:]))


@pytest.mark.parametrize("node", [0, -1], ids=["first", "last"])
async def test_heads_come_as_the_node_pushed_them(replay: Replay, node: int) -> None:
    number = replay.recording.network["nodes"][node]["node"]
    expected = [head["hash"] for head in replay.recording.heads(number)]
    part = Counter(line.at[0] for line in replay.recording.frames if line.node == number)
    first = min(part)
    begun = [
        line for line in replay.recording.frames if line.node == number and line.at[0] == first
    ]
    wanted = sum("parentHash" in str(line.response) for line in begun)
    ledger = ChainLedger(replay.settings(number), replay.deployment())
    seen: list[str] = []

    async with asyncio.timeout(30), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
        async for block in heads:
            seen.append("0x" + block.hash.hex())
            if len(seen) > wanted:
                break
    await ledger.close()

    assert seen[1:] == expected[:wanted]
    assert wanted > 20


async def test_without_a_subscription_heads_are_polled(replay: Replay) -> None:
    ledger = ChainLedger(polling(replay.settings()), replay.deployment())

    async with asyncio.timeout(10), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
        first = await anext(heads)
        assert await anext(heads) == first == await ledger.head()
    await ledger.close()


@pytest.mark.parametrize("replay", QBFT, indirect=True)
async def test_while_too_few_validate_the_head_stands_and_transactions_wait(
    replay: Replay, ledger: ChainLedger
) -> None:
    halt = replay.recording.outcomes["halt"]
    order = next(o for o in replay.recording.outcomes["orders"] if o["label"] == "halted")
    (sent,) = order["txs"]
    line = next(
        line
        for line in replay.recording.asked("eth_sendRawTransaction")
        if (line.request or {}).get("params") == [sent["raw"]]
    )
    replay.moment = line.at
    before = await ledger.head()

    assert await ledger.send(bytes.fromhex(sent["raw"][2:])) in {Sent.ACCEPTED, Sent.KNOWN}
    assert await ledger.receipt(ids.TxHash(bytes.fromhex(sent["hash"][2:]))) is None
    assert before.number == halt["height"] == sent["block"] - 1

    replay.moment = END
    receipt = await ledger.receipt(ids.TxHash(bytes.fromhex(sent["hash"][2:])))
    assert receipt is not None
    assert (receipt.block, receipt.succeeded) == (sent["block"], True)


@pytest.mark.parametrize(
    ("replay", "code"),
    [("besu-qbft", -39001), ("goquorum-qbft", -32602), ("geth-clique", -32000)],
    indirect=["replay"],
)
async def test_no_poa_client_knows_the_tag_finalized(
    replay: Replay, ledger: ChainLedger, code: int
) -> None:
    with pytest.raises(RpcFailed) as failed:
        await ledger.ask("eth_getBlockByNumber", "finalized", False)

    assert failed.value.error.code == code
    assert not replay.missing
