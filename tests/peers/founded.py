"""One consortium on each kind of chain, for the suites that run on all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings
from tests.peers.consortium import Founded, found, settings_of
from tests.peers.embedded import running_embedded
from tests.peers.geth import FUNDED
from tests.peers.networks import RealNetwork


@pytest.fixture(scope="session")
def on_embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Founded]:
    """A consortium on an embedded chain that makes blocks at once."""
    folder = tmp_path_factory.mktemp("founded-embedded")
    with running_embedded(folder / "chain") as network:
        yield asyncio.run(found(settings_of(network, folder), "embedded"))


@pytest.fixture(scope="session")
def on_geth(clique_one: RealNetwork) -> Founded:
    """A consortium on one real node that seals as soon as a transaction waits."""
    settings = ChainSettings.load(clique_one.folder / "network.json")
    return asyncio.run(found(settings, "geth", funder=LocalSigner(FUNDED[0])))


@pytest.fixture(scope="session")
def on_qbft(qbft_four: RealNetwork) -> Founded:
    """A consortium on four live Besu (or GoQuorum) validators, a block a second."""
    settings = ChainSettings.load(qbft_four.folder / "network.json")
    return asyncio.run(found(settings, "qbft"))
