"""Four live QBFT validators of Besu or GoQuorum, where there is a program that runs them."""

from __future__ import annotations

import asyncio
import contextlib

import pytest

from ledger_service.domain import errors
from tests.peers.networks import RealNetwork
from validators.network import control
from validators.network.binaries import find_qbft
from validators.network.layout import Wanted, create

_RUNNING = pytest.StashKey[RealNetwork]()


@pytest.fixture(scope="session")
def qbft_four(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> RealNetwork:
    """Four validators, a block a second; the same four for every suite that imports this.

    Each folder that imports a fixture has one of its own, and a dozen Besu nodes starve each other.
    """
    stash = request.config.stash
    if _RUNNING not in stash:
        with contextlib.ExitStack() as undo:
            stash[_RUNNING] = _start(tmp_path_factory, undo)
            request.config.add_cleanup(undo.pop_all().close)
    return stash[_RUNNING]


def _start(tmp_path_factory: pytest.TempPathFactory, undo: contextlib.ExitStack) -> RealNetwork:
    try:
        asyncio.run(find_qbft(None))
    except errors.NodeBinaryMissing as exc:
        pytest.skip(f"no QBFT node here: {exc}")
    folder = tmp_path_factory.mktemp("qbft-four") / "network"
    asyncio.run(create(folder, Wanted("qbft"), print))
    undo.callback(lambda: asyncio.run(control.stop(folder)))
    return RealNetwork(folder, asyncio.run(control.start(folder, print)))
