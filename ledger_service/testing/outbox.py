"""The outbox in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ledger_service.domain.records import Delivery, DeliveryState


@dataclass
class OutboxState:
    """Rows, leases (owner, until) and paused destinations."""

    rows: dict[str, Delivery] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def copy(self) -> OutboxState:
        """Return a snapshot."""
        return OutboxState(self.rows.copy(), self.leases.copy(), self.paused.copy())

    def drop_above(self, block: int) -> None:
        """Drop what is not done of blocks above."""
        for dedup, row in list(self.rows.items()):
            if int(dedup.split("/", 1)[0]) > block and row.state is not DeliveryState.DONE:
                del self.rows[dedup]


class MemoryOutbox:
    """The OutboxRows port."""

    def __init__(self, state: OutboxState) -> None:
        self._state = state

    async def add(self, item: Delivery) -> bool:
        """Insert; False if its dedup key was there."""
        if item.dedup in self._state.rows:
            return False
        self._state.rows[item.dedup] = replace(item, due=item.due or item.created_at)
        return True

    async def claim(
        self, destination: str, owner: str, now: datetime, lease_until: datetime, limit: int
    ) -> Sequence[Delivery]:
        """Lease due rows that head their key."""
        if destination in self._state.paused:
            return []
        claimed = [row for row in self._heads(destination) if self._free(row, now)][:limit]
        for row in claimed:
            self._state.rows[row.dedup] = replace(row, attempts=row.attempts + 1)
            self._state.leases[row.dedup] = (owner, lease_until)
        return [self._state.rows[row.dedup] for row in claimed]

    async def done(self, dedup: str, owner: str, reference: dict[str, Any]) -> bool:
        """Finish a row that is still ours."""
        return self._settle(dedup, owner, state=DeliveryState.DONE, reference=reference, reason="")

    async def retry(self, dedup: str, owner: str, due: datetime, reason: str) -> bool:
        """Give a row back."""
        return self._settle(dedup, owner, due=due, reason=reason)

    async def block(self, dedup: str, owner: str, reason: str) -> bool:
        """Mark a row as refused for good."""
        return self._settle(dedup, owner, state=DeliveryState.BLOCKED, reason=reason)

    async def release(self, destination: str, dedup: str | None = None) -> int:
        """Make blocked and backing-off rows due again."""
        wanted = [
            row
            for row in self._state.rows.values()
            if row.destination == destination
            and row.state is not DeliveryState.DONE
            and row.dedup not in self._state.leases
            and dedup in {None, row.dedup}
        ]
        for row in wanted:
            freed = replace(row, state=DeliveryState.PENDING, due=row.created_at)
            self._state.rows[row.dedup] = freed
        return len(wanted)

    async def replay(self, destination: str, key: str) -> int:
        """Make all deliveries of a key due once more."""
        wanted = [
            row
            for row in self._state.rows.values()
            if row.destination == destination and row.key == key
        ]
        for row in wanted:
            self._state.leases.pop(row.dedup, None)
            self._state.rows[row.dedup] = replace(
                row, state=DeliveryState.PENDING, due=row.created_at, attempts=0
            )
        return len(wanted)

    async def of_order(self, key: str) -> Sequence[Delivery]:
        """Return the deliveries of one key."""
        own = [row for row in self._state.rows.values() if row.key == key]
        return sorted(own, key=lambda row: row.dedup)

    async def counts(self) -> dict[tuple[str, str], int]:
        """Count by destination and state."""
        found: dict[tuple[str, str], int] = {}
        for row in self._state.rows.values():
            place = (row.destination, row.state.value)
            found[place] = found.get(place, 0) + 1
        return found

    async def pause(self, destination: str, paused: bool) -> None:  # noqa: FBT001  a state, not a mode
        """Stop or resume claims."""
        if paused:
            self._state.paused.add(destination)
        else:
            self._state.paused.discard(destination)

    async def paused(self) -> frozenset[str]:
        """Return the paused destinations."""
        return frozenset(self._state.paused)

    def _heads(self, destination: str) -> list[Delivery]:
        heads: dict[str, Delivery] = {}
        for row in sorted(self._state.rows.values(), key=lambda row: row.dedup):
            if row.destination == destination and row.state is not DeliveryState.DONE:
                heads.setdefault(row.key, row)
        return list(heads.values())

    def _free(self, row: Delivery, now: datetime) -> bool:
        lease = self._state.leases.get(row.dedup)
        leased = lease is not None and lease[1] > now
        due = row.due is None or row.due <= now
        return row.state is DeliveryState.PENDING and due and not leased

    def _settle(self, dedup: str, owner: str, **changes: Any) -> bool:
        row, lease = self._state.rows.get(dedup), self._state.leases.get(dedup)
        if row is None or row.state is not DeliveryState.PENDING or lease is None:
            return False
        if lease[0] != owner:
            return False
        del self._state.leases[dedup]
        self._state.rows[dedup] = replace(row, **changes)
        return True
