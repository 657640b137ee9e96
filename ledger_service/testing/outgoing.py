"""Signed transactions in memory, as part of the database in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Signed
from ledger_service.domain.records import Earlier, Outgoing, TxState


@dataclass
class OutgoingState:
    """The rows, and the next nonce of each key."""

    rows: dict[str, Outgoing] = field(default_factory=dict)
    nonces: dict[ids.Address, int] = field(default_factory=dict)

    def copy(self) -> OutgoingState:
        """Return a snapshot."""
        return OutgoingState(self.rows.copy(), self.nonces.copy())


class MemoryOutgoing:
    """The OutgoingRows port."""

    def __init__(self, state: OutgoingState) -> None:
        self._rows = state.rows
        self._nonces = state.nonces

    async def next_nonce(self, key: ids.Address, at_least: int, count: int = 1) -> int:
        """Count up."""
        nonce = max(self._nonces.get(key, 0), at_least)
        self._nonces[key] = nonce + count
        return nonce

    async def add(self, *items: Outgoing) -> None:
        """Insert."""
        for item in items:
            self._add(item)

    def _add(self, item: Outgoing) -> None:
        known = self._rows.get(item.key)
        if known is not None and known.state is TxState.FAILED:
            aside = f"{item.key}~{known.nonce}"
            self._rows[aside] = replace(self._rows.pop(item.key), key=aside)
        if item.key in self._rows:
            raise errors.Conflict("This transaction is already stored.", found=item.key)
        taken = {(other.signer, other.nonce) for other in self._rows.values()}
        if (item.signer, item.nonce) in taken:
            raise errors.NonceTaken(found=item.nonce, signer=item.signer.hex())
        self._rows[item.key] = item

    async def get(self, key: str) -> Outgoing | None:
        """Return it."""
        return self._rows.get(key)

    async def unfinished(self, key: ids.Address) -> Sequence[Outgoing]:
        """Return what is stored and not mined, by nonce."""
        return [item for item in self._stored() if item.signer == key]

    async def at(self, signer: ids.Address, nonce: int) -> Outgoing | None:
        """Return what a nonce was used for."""
        wanted = (signer, nonce)
        return next((it for it in self._rows.values() if (it.signer, it.nonce) == wanted), None)

    async def overdue(self, before: datetime) -> Sequence[Outgoing]:
        """Return what was stored before a moment and is not mined."""
        return [item for item in self._stored() if item.created_at < before]

    async def settle(self, keys: Sequence[str], state: TxState, reason: str = "") -> None:
        """Say what became of them."""
        for item in [self._rows[key] for key in keys if key in self._rows]:
            self._rows[item.key] = replace(item, state=state, reason=reason)

    async def end(self, item: Outgoing, state: TxState, reason: str = "") -> bool:
        """Say what became of this very nonce."""
        present = self._rows.get(item.key)
        if present is None or (present.nonce, present.state) != (item.nonce, TxState.STORED):
            return False
        self._rows[item.key] = replace(present, state=state, reason=reason)
        return True

    async def sent(self, keys: Sequence[str], at: datetime, *, refused: bool | None) -> None:
        """Count a broadcast of each."""
        for item in [self._rows[key] for key in keys if key in self._rows]:
            since = (item.refused_at or at) if refused else None
            since = item.refused_at if refused is None else since
            self._rows[item.key] = replace(item, sends=item.sends + 1, sent_at=at, refused_at=since)

    async def refused(self) -> Sequence[Outgoing]:
        """Return what no node takes."""
        return [item for item in self._stored() if item.refused_at is not None]

    async def sign_anew(self, item: Outgoing, signed: Signed, *, void: bool, why: str) -> None:
        """Replace the bytes."""
        present = self._rows.get(item.key)
        if present is None or (present.hash, present.state) != (item.hash, TxState.STORED):
            raise errors.Conflict("It was settled or signed anew meanwhile.", found=item.key)
        self._rows[item.key] = replace(
            present,
            hash=signed.hash,
            raw=signed.raw,
            void=void,
            earlier=(*item.earlier, Earlier(item.hash, item.void)),
            reason=why,
            sends=0,
            sent_at=None,
            refused_at=None,
        )

    def _stored(self) -> list[Outgoing]:
        stored = [item for item in self._rows.values() if item.state is TxState.STORED]
        return sorted(stored, key=lambda item: item.nonce)
