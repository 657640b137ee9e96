"""Four live QBFT validators: free gas, one lost, and a halt."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.peers.networks import RealNetwork
from tests.peers.probe import CODE, Sender
from tests.peers.rpc import rpc

pytestmark = [pytest.mark.besu, pytest.mark.timeout(600)]
#: A validator needs 20 to 60 s from its start to its first block where two cores are shared.
PATIENCE_SECONDS = 120.0


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it does not happen")
        await asyncio.sleep(0.2)


def height(url: str) -> int:
    return int(rpc(url, "eth_blockNumber"), 16)


async def test_four_validators_mine_for_a_sender_without_ether(qbft_four: RealNetwork) -> None:
    network = qbft_four.network
    sender = Sender(network.chain_id, network.fee_policy)
    found: list[dict[str, Any]] = []

    digest = rpc(
        qbft_four.urls[0],
        "eth_sendRawTransaction",
        sender.sign(None, bytes.fromhex(CODE), gas=1_000_000),
    )

    def mined() -> bool:
        with contextlib.suppress(OSError):
            found.append(rpc(qbft_four.urls[3], "eth_getTransactionReceipt", digest))
        return bool(found and found[-1])

    await until(mined)
    assert found[-1]["status"] == "0x1"
    assert (await qbft_four.health()).healthy


async def test_three_go_on_without_the_fourth_which_comes_back(qbft_four: RealNetwork) -> None:
    first = qbft_four.urls[0]
    qbft_four.kill("node-2")
    before = height(first)
    ill = await qbft_four.health()
    await until(lambda: height(first) >= before + 3)

    await qbft_four.start()

    assert ill.reason == "down: node-2"
    assert height(qbft_four.urls[1]) > before
    assert (await qbft_four.health()).healthy


async def test_a_network_halts_below_quorum_and_goes_on_when_all_are_back(
    qbft_four: RealNetwork,
) -> None:
    first = qbft_four.urls[0]
    qbft_four.kill("node-3", "node-4")
    await asyncio.sleep(3)
    halted = height(first)
    await asyncio.sleep(6)
    assert height(first) == halted

    await qbft_four.start()

    assert height(qbft_four.urls[3]) > halted
