"""The port to bearer tokens."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ledger_service.domain.records import Token


class TokenRows(Protocol):
    """API access."""

    async def add(self, token: Token) -> None:
        """Insert. Raise Conflict for an id or a secret that is there."""

    async def by_digest(self, digest: bytes) -> Token | None:
        """Return the token whose secret has this SHA-256."""

    async def revoke(self, token: str, at: datetime) -> bool:
        """End it; False if there is none."""

    async def list(self) -> Sequence[Token]:
        """Return all, newest first."""
