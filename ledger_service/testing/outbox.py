"""The outbox in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from ledger_service.domain.records import Circuit, Delivery, DeliveryState, Outcome

NOBODY = ""
OPEN = frozenset({DeliveryState.PENDING, DeliveryState.BLOCKED})


@dataclass
class OutboxState:
    """Rows, leases (owner, until), paused destinations and those that do not answer."""

    rows: dict[str, Delivery] = field(default_factory=dict)
    leases: dict[str, tuple[str, datetime]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)
    circuits: dict[str, Circuit] = field(default_factory=dict)

    def copy(self) -> OutboxState:
        """Return a snapshot."""
        own = {name: value.copy() for name, value in vars(self).items()}
        return OutboxState(**own)

    def drop_above(self, block: int) -> None:
        """Drop what is open of blocks above."""
        for dedup, row in list(self.rows.items()):
            if int(dedup.split("/", 1)[0]) > block and row.state in OPEN:
                del self.rows[dedup]
                self.leases.pop(dedup, None)


class MemoryOutbox:
    """The OutboxRows port."""

    def __init__(self, state: OutboxState) -> None:
        self._state = state

    async def add(self, *items: Delivery) -> frozenset[str]:
        """Insert those whose dedup key is not there."""
        fresh = {it.dedup: it for it in items if it.dedup not in self._state.rows}
        for dedup, item in fresh.items():
            self._state.rows[dedup] = replace(item, due=item.due or item.created_at)
        return frozenset(fresh)

    async def due(self, destinations: Sequence[str], now: datetime) -> frozenset[str]:
        """Return those that have something to take on."""
        return frozenset(name for name in destinations if self._waits(name, now))

    async def claim(
        self, destination: str, owner: str, now: datetime, lease_until: datetime, limit: int
    ) -> Sequence[Delivery]:
        """Lease due rows that head their key."""
        if destination in self._state.paused:
            return []
        free = [row for row in self._heads(destination) if self._free(row, now)]
        claimed = sorted(free, key=lambda row: (row.due, row.dedup))[:limit]
        for row in claimed:
            self._state.rows[row.dedup] = replace(row, attempts=row.attempts + 1, owner=owner)
            self._state.leases[row.dedup] = (owner, lease_until)
        return [self._state.rows[row.dedup] for row in sorted(claimed, key=lambda row: row.dedup)]

    async def renew(self, held: Mapping[str, str], lease_until: datetime) -> frozenset[str]:
        """Lengthen exactly these leases."""
        ours = frozenset(dedup for dedup, owner in held.items() if self._holds(dedup, owner))
        self._state.leases |= {dedup: (held[dedup], lease_until) for dedup in ours}
        return ours

    async def settle(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        """Write what is still held."""
        ours = [self._holds(item.dedup, item.owner) for item in outcomes]
        for item, mine in zip(outcomes, ours, strict=True):
            if mine:
                del self._state.leases[item.dedup]
                row = self._state.rows[item.dedup]
                self._state.rows[item.dedup] = replace(
                    row,
                    owner=NOBODY,
                    state=item.state,
                    due=item.due or row.due,
                    reason=item.reason,
                    reference=item.reference,
                    settled_at=item.at if item.state not in OPEN else None,
                    attempts=row.attempts - (not item.tried),
                )
        return ours

    async def release(
        self, destination: str, dedup: str | None = None, *, blocked: bool = True
    ) -> int:
        """Make waiting and blocked rows due again."""
        states = OPEN if blocked else {DeliveryState.PENDING}
        wanted = [
            row
            for row in self._state.rows.values()
            if row.destination == destination
            and row.state in states
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
            if row.destination == destination and row.key == key and row.payload
        ]
        for row in wanted:
            self._state.leases.pop(row.dedup, None)
            self._state.rows[row.dedup] = replace(
                row,
                owner=NOBODY,
                state=DeliveryState.PENDING,
                due=row.created_at,
                attempts=0,
                settled_at=None,
            )
        return len(wanted)

    async def give_up(
        self, destination: str, dedup: str, reason: str, at: datetime
    ) -> Delivery | None:
        """End a row that nobody holds."""
        row, lease = self._state.rows.get(dedup), self._state.leases.get(dedup)
        held = lease is not None and lease[1] > at
        if row is None or row.destination != destination or row.state not in OPEN or held:
            return None
        self._state.leases.pop(dedup, None)
        ended = replace(row, owner=NOBODY, state=DeliveryState.DEAD, reason=reason, settled_at=at)
        self._state.rows[dedup] = ended
        return ended

    async def of_order(self, key: str) -> Sequence[Delivery]:
        """Return the deliveries of one key."""
        own = [row for row in self._state.rows.values() if row.key == key]
        return sorted(own, key=lambda row: row.dedup)

    async def blocked(self, limit: int) -> Sequence[Delivery]:
        """Return blocked rows, oldest first."""
        rows = [row for row in self._state.rows.values() if row.state is DeliveryState.BLOCKED]
        return sorted(rows, key=lambda row: row.dedup)[:limit]

    async def counts(self) -> dict[tuple[str, str], int]:
        """Count by destination and state."""
        found: dict[tuple[str, str], int] = {}
        for row in self._state.rows.values():
            place = (row.destination, row.state.value)
            found[place] = found.get(place, 0) + 1
        return found

    async def oldest(self) -> dict[str, datetime]:
        """Return when the oldest open row was added."""
        found: dict[str, datetime] = {}
        for row in self._state.rows.values():
            if row.state in OPEN:
                known = found.get(row.destination, row.created_at)
                found[row.destination] = min(known, row.created_at)
        return found

    async def prune(self, before: datetime, limit: int) -> int:
        """Drop old payloads."""
        old = [
            row
            for row in self._state.rows.values()
            if row.state not in OPEN and row.payload and row.settled_at and row.settled_at < before
        ][:limit]
        self._state.rows |= {row.dedup: replace(row, payload={}) for row in old}
        return len(old)

    async def pause(self, destination: str, paused: bool) -> None:  # noqa: FBT001  a state, not a mode
        """Stop or resume claims."""
        if paused:
            self._state.paused.add(destination)
        else:
            self._state.paused.discard(destination)

    async def paused(self) -> frozenset[str]:
        """Return the paused destinations."""
        return frozenset(self._state.paused)

    def _waits(self, destination: str, now: datetime) -> bool:
        circuit = self._state.circuits.get(destination)
        if destination in self._state.paused or (circuit and circuit.until and circuit.until > now):
            return False
        return any(self._free(row, now) for row in self._heads(destination))

    def _heads(self, destination: str) -> list[Delivery]:
        heads: dict[str, Delivery] = {}
        for row in sorted(self._state.rows.values(), key=lambda row: row.dedup):
            if row.destination == destination and row.state in OPEN:
                heads.setdefault(row.key, row)
        return list(heads.values())

    def _free(self, row: Delivery, now: datetime) -> bool:
        lease = self._state.leases.get(row.dedup)
        leased = lease is not None and lease[1] > now
        due = row.due is None or row.due <= now
        return row.state is DeliveryState.PENDING and due and not leased

    def _holds(self, dedup: str, owner: str) -> bool:
        row, lease = self._state.rows.get(dedup), self._state.leases.get(dedup)
        if row is None or lease is None or row.state is not DeliveryState.PENDING:
            return False
        return lease[0] == owner


class MemoryCircuits:
    """The CircuitRows port."""

    def __init__(self, circuits: dict[str, Circuit]) -> None:
        self._circuits = circuits

    async def get(self, destination: str) -> Circuit | None:
        """Return it; writers take turns anyway."""
        return self._circuits.get(destination)

    async def put(self, item: Circuit) -> None:
        """Insert or replace."""
        self._circuits[item.destination] = item

    async def drop(self, destination: str) -> bool:
        """Delete it."""
        return self._circuits.pop(destination, None) is not None

    async def all(self) -> Sequence[Circuit]:
        """Return all, by name."""
        return [item for _, item in sorted(self._circuits.items())]
