"""Why real nodes refuse a transaction, each word of the vocabulary from a node's own answer."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from eth_account.signers.local import LocalAccount

from ledger_service.chain.client import ChainLedger
from ledger_service.chain.failures import Failure, failure_of, meaning
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.rpc import Node, RpcError, RpcFailed
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import calls, errors
from ledger_service.domain.calls import Sent, Signed, Unsigned
from ledger_service.services.send import using_up
from tests.peers.consortium import Founded, mined
from tests.peers.geth import FUNDED
from tests.peers.replay import NETWORKS, recording
from validators.network import geth
from validators.network.geth_build import cached_geth
from validators.network.layout import Wanted, create
from validators.network.plan import Plan

Case = Callable[[ChainLedger, LocalSigner, Unsigned, int], list[Signed]]

#: What is sent, one after the other, so that the last is refused for this reason.
CASES: dict[Failure, Case] = {
    Failure.KNOWN: lambda _, key, free, at: [key.sign(free, at + 1)] * 2,
    Failure.NONCE_TOO_LOW: lambda _, key, free, at: [key.sign(free, at - 1)],
    Failure.UNDERPRICED: lambda _, key, free, at: [
        key.sign(free, at + 2),
        key.sign(replace(free, gas=free.gas + 1), at + 2),
    ],
    Failure.NO_FUNDS: lambda _, key, free, at: [key.sign(replace(free, value=10**30), at)],
    Failure.TOO_MUCH_GAS: lambda _, key, free, at: [key.sign(replace(free, gas=10**9), at)],
    Failure.INVALID: lambda _, key, free, at: [key.sign(replace(free, chain_id=4711), at)],
}

#: Nonces beyond the next one at which other tests of this chain may have left a transaction.
MOST_LEFT = 8


@pytest.fixture
async def ledger(founded: Founded) -> AsyncIterator[ChainLedger]:
    opened = founded.ledger()
    yield opened
    await opened.close()


async def refusal(url: str, *sent: Signed) -> Failure | None:
    """Send to one node; return why it refused the last, None if it did not."""
    node, failure = Node(url), None
    for signed in sent:
        failure = None
        try:
            await node.call("eth_sendRawTransaction", "0x" + signed.raw.hex())
        except RpcFailed as exc:
            failure = failure_of(exc.error)
    await node.close()
    return failure


async def check_each(founded: Founded, ledger: ChainLedger) -> None:
    key = founded.stranger
    transfer = using_up(ledger.prepare(calls.Propose((founded.content(),))), key.address)
    at = await ledger.nonce(key.address) + MOST_LEFT
    # Uses up what others of this key may wait in the pool, behind a gap.
    before = [key.sign(transfer, nonce) for nonce in range(at - MOST_LEFT, at)]
    await ledger.send_many([signed.raw for signed in before])
    while await ledger.nonce(key.address) < at:  # noqa: ASYNC110  a node rings no bell
        await asyncio.sleep(0.1)

    found = {
        wanted: await refusal(ledger.settings.rpc[0], *case(ledger, key, transfer, at))
        for wanted, case in CASES.items()
    }

    # So that what waits in front of a gap does not wait for ever.
    last = [key.sign(transfer, nonce) for nonce in range(at, at + 3)]
    await ledger.send_many([signed.raw for signed in last])
    await mined(ledger, last[0].hash)
    assert found == {wanted: wanted for wanted in CASES}


async def test_each_refusal_is_read_as_what_it_is(ledger: ChainLedger, founded: Founded) -> None:
    await check_each(founded, ledger)


@pytest.mark.besu
@pytest.mark.timeout(900)
async def test_each_refusal_of_a_live_qbft_node_is_read_as_what_it_is(on_qbft: Founded) -> None:
    ledger = on_qbft.ledger()
    await check_each(on_qbft, ledger)
    await ledger.close()


@pytest.mark.parametrize("network", NETWORKS[:3])
def test_what_was_recorded_of_a_refused_transaction_has_a_word(network: str) -> None:
    told = {
        failure_of(RpcError(error["code"], error["message"])).value
        for line in recording(network).asked("eth_sendRawTransaction")
        if (error := line.response.get("error"))
    }

    assert {"known", "nonce too low", "underpriced", "too much gas", "invalid"} <= told
    assert ("nonce too high" in told) is (network == "besu-qbft")
    assert ("no funds" in told) is (network != "besu-qbft")


@pytest.fixture
def small_pool(tmp_path: Path) -> Iterator[ChainSettings]:
    """Run a real node whose pool holds two transactions, and which seals nothing."""
    if not cached_geth().exists():
        pytest.skip("geth 1.13.15 is not built")
    funded = [account.address.lower() for account in FUNDED]
    network = asyncio.run(create(tmp_path / "n", Wanted("clique", 1, 0, fund=funded), print))
    plan = Plan.load(tmp_path / "n")
    argv = geth.command(plan, plan.launches[0])
    for at, word in enumerate(argv):
        if word.startswith("--txpool."):
            argv[at + 1] = "1"
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([*argv, "--txpool.nolocals"], stderr=log)
    try:
        yield ChainSettings.load(network.save(tmp_path / "n"))
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.clique
async def test_a_full_pool_says_so_and_the_bytes_are_sent_again_later(
    small_pool: ChainSettings,
) -> None:
    node = Node(small_pool.rpc[0])
    await answering(node)

    def made(account: LocalAccount, price: int, size: int) -> Signed:
        key = LocalSigner(account)
        fees = (("gasPrice", price),)
        return key.sign(Unsigned(small_pool.chain_id, key.address, bytes(size), 500_000, fees), 0)

    few = [made(FUNDED[0], 1, 0), made(FUNDED[1], 2, 0)]
    large = made(FUNDED[2], 3, 100_000)  # takes the room of four

    failure = await refusal(small_pool.rpc[0], *few, large)

    await node.close()
    assert failure is Failure.POOL_FULL
    assert meaning(failure) is Sent.RETRY


async def answering(node: Node) -> None:
    """Wait until a node answers."""
    async with asyncio.timeout(30):
        while True:
            try:
                await node.call("eth_chainId")
            except errors.NodeUnreachable:
                await asyncio.sleep(0.05)
            else:
                return
