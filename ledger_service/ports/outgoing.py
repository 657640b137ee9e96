"""The port to signed transactions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from ledger_service.domain import ids
from ledger_service.domain.calls import Signed
from ledger_service.domain.records import Outgoing, TxState


class OutgoingRows(Protocol):
    """Signed transactions: UNIQUE(key), UNIQUE(signer, nonce). A purpose that failed is free again."""

    async def next_nonce(self, signer: ids.Address, at_least: int, count: int = 1) -> int:
        """Lock the signer's row to the end of the transaction; take `count` nonces, return the first."""

    async def add(self, *items: Outgoing) -> None:
        """Insert; what failed with the same purpose is kept beside it. Raise NonceTaken or Conflict."""

    async def get(self, key: str) -> Outgoing | None:
        """Return it by purpose."""

    async def unfinished(self, signer: ids.Address) -> Sequence[Outgoing]:
        """Return what is stored and not mined, by nonce."""

    async def at(self, signer: ids.Address, nonce: int) -> Outgoing | None:
        """Return what a nonce was used for, whatever became of it."""

    async def overdue(self, before: datetime) -> Sequence[Outgoing]:
        """Return what was stored before a moment and is not mined, of any signer, by nonce."""

    async def settle(self, keys: Sequence[str], state: TxState, reason: str = "") -> None:
        """Say what became of purposes, by what the chain shows of them; one that is not stored is none."""

    async def end(self, outgoing: Outgoing, state: TxState, reason: str = "") -> bool:
        """Say what became of this very nonce; False if somebody said it before: then nothing changes."""

    async def sent(self, keys: Sequence[str], at: datetime, *, refused: bool | None) -> None:
        """Count a broadcast of each. `refused`: by every node; None if that is not known."""

    async def refused(self) -> Sequence[Outgoing]:
        """Return what is stored and taken by no node, of any signer, by nonce."""

    async def sign_anew(self, outgoing: Outgoing, signed: Signed, *, void: bool, why: str) -> None:
        """Put other bytes of the same nonce in place of these, whose hash is kept.

        Raise Conflict if it is settled or was signed anew meanwhile.
        """
