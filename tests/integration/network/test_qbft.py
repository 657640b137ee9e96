from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger_service.domain import errors
from tests.peers.probe import CODE, Sender
from tests.peers.rpc import rpc
from validators.network import control
from validators.network.binaries import find_qbft
from validators.network.files import Network
from validators.network.layout import Wanted, create

pytestmark = [pytest.mark.besu, pytest.mark.timeout(600)]


@pytest.fixture
async def folder(tmp_path: Path) -> AsyncIterator[Path]:
    try:
        await find_qbft(None)
    except errors.NodeBinaryMissing as exc:
        pytest.skip(f"no QBFT node here: {exc}")
    place = tmp_path / "net"
    await create(place, Wanted("qbft"), print)
    try:
        yield place
    finally:
        await control.stop(place)


async def test_four_validators_mine_for_a_sender_without_ether(folder: Path) -> None:
    network: Network = await control.start(folder, print)
    sender = Sender(network.chain_id, network.fee_policy)
    raw = sender.sign(None, bytes.fromhex(CODE), gas=1_000_000)

    digest = rpc(network.nodes[0].rpc, "eth_sendRawTransaction", raw)

    found = None
    deadline = time.monotonic() + 60
    while found is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            found = rpc(network.nodes[3].rpc, "eth_getTransactionReceipt", digest)
        await asyncio.sleep(0.2)
    assert found is not None
    assert found["status"] == "0x1"
    assert (await control.health(folder)).healthy
