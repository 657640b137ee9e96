from __future__ import annotations

from tests.peers.embedded import embedded_chain
from tests.peers.geth import clique_four, clique_one
from tests.peers.qbft import qbft_four

__all__ = ["clique_four", "clique_one", "embedded_chain", "qbft_four"]
