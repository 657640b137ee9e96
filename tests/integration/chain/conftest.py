from __future__ import annotations

import asyncio

import pytest

from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings
from tests.peers.consortium import Founded, found
from tests.peers.founded import on_embedded, on_geth, on_qbft
from tests.peers.geth import FUNDED, clique_four, clique_one
from tests.peers.networks import RealNetwork
from tests.peers.qbft import qbft_four

__all__ = ["clique_four", "clique_one", "on_embedded", "on_geth", "on_qbft", "qbft_four"]


@pytest.fixture(scope="session")
def on_four(clique_four: RealNetwork) -> Founded:
    """A consortium on four real nodes, a block a second."""
    settings = ChainSettings.load(clique_four.folder / "network.json")
    return asyncio.run(found(settings, "four", funder=LocalSigner(FUNDED[1])))


@pytest.fixture(params=["embedded", pytest.param("geth", marks=pytest.mark.clique)])
def founded(request: pytest.FixtureRequest) -> Founded:
    """A consortium on each chain in turn."""
    chosen: Founded = request.getfixturevalue(f"on_{request.param}")
    return chosen
