"""Real geth 1.13 networks for tests: one signer without a period, or four at one second."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from eth_account import Account
from eth_account.signers.local import LocalAccount
from eth_hash.auto import keccak

from tests.peers.networks import RealNetwork
from validators.network import control
from validators.network.geth_build import cached_geth
from validators.network.layout import Wanted, create

#: Keys that hold ether in every network made here.
FUNDED: tuple[LocalAccount, ...] = tuple(
    Account.from_key(keccak(f"funded test account {number}".encode())) for number in range(8)
)


@contextmanager
def running_clique(folder: Path, *, signers: int, period: float) -> Iterator[RealNetwork]:
    """Make and start a network in a folder that does not exist yet; stop it at the end."""
    if not cached_geth().exists() and shutil.which("go") is None:
        pytest.skip("geth 1.13.15 is not built and Go is not there to build it")
    wanted = Wanted("clique", signers, period, fund=[account.address.lower() for account in FUNDED])
    asyncio.run(create(folder, wanted, print))
    try:
        yield RealNetwork(folder, asyncio.run(control.start(folder, print)))
    finally:
        asyncio.run(control.stop(folder))


@pytest.fixture(scope="session")
def clique_one(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    """One signer that seals as soon as a transaction waits."""
    folder = tmp_path_factory.mktemp("clique-one") / "network"
    with running_clique(folder, signers=1, period=0) as network:
        yield network


@pytest.fixture(scope="session")
def clique_four(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    """Four signers, a block a second."""
    folder = tmp_path_factory.mktemp("clique-four") / "network"
    with running_clique(folder, signers=4, period=1) as network:
        yield network
