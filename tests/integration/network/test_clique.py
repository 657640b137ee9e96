from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peers.geth import FUNDED
from tests.peers.networks import RealNetwork
from tests.peers.probe import CODE, Sender
from tests.peers.rpc import RpcFailed, rpc

pytestmark = pytest.mark.clique
PATIENCE_SECONDS = 60.0


async def receipt(url: str, digest: str) -> dict[str, Any]:
    found: list[dict[str, Any]] = []

    def mined() -> bool:
        with contextlib.suppress(RpcFailed):  # a node that still indexes says so by an error
            found.append(rpc(url, "eth_getTransactionReceipt", digest))
        return bool(found and found[-1])

    await until(mined)
    return found[-1]


def height(url: str) -> int:
    return int(rpc(url, "eth_blockNumber"), 16)


def seals_of(url: str, address: str) -> int:
    """Count a signer's blocks among the last ten."""
    first = height(url) - 9
    return sum(
        rpc(url, "clique_getSigner", hex(number)).lower() == address
        for number in range(first, first + 10)
    )


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it does not happen")
        await asyncio.sleep(0.1)


async def test_four_signers_make_blocks_and_agree(clique_four: RealNetwork) -> None:
    health = await clique_four.health()

    assert health.healthy, health
    assert [node.peers for node in health.nodes] == [3, 3, 3, 3]
    assert clique_four.network.finality_depth == 3
    assert all(
        rpc(url, "eth_getBlockByNumber", "0x0", False)["hash"] == clique_four.network.genesis_digest
        for url in clique_four.urls
    )


async def test_a_transaction_given_to_every_node_is_mined_once(clique_four: RealNetwork) -> None:
    network = clique_four.network
    sender = Sender(network.chain_id, network.fee_policy, FUNDED[0])
    raw = sender.sign(None, bytes.fromhex(CODE), gas=1_000_000)

    digest = rpc(clique_four.urls[0], "eth_sendRawTransaction", raw)
    for url in clique_four.urls[1:]:
        with contextlib.suppress(RpcFailed):  # already known, where gossip was faster
            assert rpc(url, "eth_sendRawTransaction", raw) == digest

    found = [await receipt(url, digest) for url in clique_four.urls]
    assert [one["status"] for one in found] == ["0x1"] * 4


async def test_a_killed_signer_comes_back_level_and_seals_again(clique_four: RealNetwork) -> None:
    clique_four.kill("node-2")
    before = height(clique_four.urls[0])
    ill = await clique_four.health()
    await until(lambda: height(clique_four.urls[0]) >= before + 2)

    await clique_four.start()

    well = await clique_four.health()
    assert ill.reason == "down: node-2"
    assert well.healthy, well
    address = str(clique_four.network.nodes[1].address)
    await until(lambda: seals_of(clique_four.urls[0], address) > 0)


async def test_a_network_halts_below_quorum_and_goes_on_when_all_are_back(
    clique_four: RealNetwork,
) -> None:
    clique_four.kill("node-3", "node-4")
    await asyncio.sleep(3)
    halted = height(clique_four.urls[0])
    await asyncio.sleep(3)
    assert height(clique_four.urls[0]) == halted

    await clique_four.start()

    assert (await clique_four.health()).healthy
    assert height(clique_four.urls[3]) > halted


async def test_one_signer_without_a_period_seals_when_something_waits(
    clique_one: RealNetwork,
) -> None:
    network, (url,) = clique_one.network, clique_one.urls
    sender = Sender(network.chain_id, network.fee_policy, FUNDED[0])
    before = height(url)

    digest = rpc(url, "eth_sendRawTransaction", sender.sign(FUNDED[1].address, b""))
    found = await receipt(url, digest)

    assert int(found["blockNumber"], 16) == before + 1
    assert height(url) == before + 1
    assert network.finality_depth == 0
