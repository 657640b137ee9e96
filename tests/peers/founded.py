"""One consortium on each kind of chain, for the suites that run on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors
from tests.peers.consortium import Founded, found, settings_of
from tests.peers.embedded import running_embedded
from tests.peers.geth import FUNDED, CliqueNetwork
from validators.network import control
from validators.network.binaries import find_qbft
from validators.network.layout import Wanted, create


@pytest.fixture(scope="session")
def on_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Founded]:
    """A consortium on an embedded chain that makes blocks at once."""
    folder = tmp_path_factory.mktemp("founded-embedded")
    with running_embedded(folder / "chain") as network:
        yield asyncio.run(found(settings_of(network, folder), "embedded"))


@pytest.fixture(scope="session")
def on_geth(clique_one: CliqueNetwork) -> Founded:
    """A consortium on one real node that seals as soon as a transaction waits."""
    settings = ChainSettings.load(clique_one.folder / "network.json")
    return asyncio.run(found(settings, "geth", funder=LocalSigner(FUNDED[0])))


@pytest.fixture(scope="session")
def on_qbft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Founded]:
    """A consortium on four live Besu (or GoQuorum) validators, a block a second."""
    try:
        asyncio.run(find_qbft(None))
    except errors.NodeBinaryMissing as exc:
        pytest.skip(f"no QBFT node here: {exc}")
    folder = tmp_path_factory.mktemp("founded-qbft") / "network"
    asyncio.run(create(folder, Wanted("qbft"), print))
    try:
        asyncio.run(control.start(folder, print))
        settings = ChainSettings.load(folder / "network.json")
        yield asyncio.run(found(settings, "qbft"))
    finally:
        asyncio.run(control.stop(folder))
