from __future__ import annotations

from tests.peers.embedded import embedded_chain

__all__ = ["embedded_chain"]
