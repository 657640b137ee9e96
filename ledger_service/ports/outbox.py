"""What the relay needs from the database: deliveries, and which destinations do not answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from ledger_service.domain.records import Circuit, Delivery, Outcome


class OutboxRows(Protocol):
    """Deliveries. Rows of one destination and key are claimed in chain order only."""

    async def add(self, *deliveries: Delivery) -> frozenset[str]:
        """Insert those whose dedup key is not there, done and pruned ones too; return these keys."""

    async def due(self, destinations: Sequence[str], now: datetime) -> frozenset[str]:
        """Return those of these that a claim would lease something for, if its relay may claim.

        Which is not so while they are paused, or left alone because they do not answer.
        """

    async def claim(
        self, destination: str, owner: str, now: datetime, lease_until: datetime, limit: int
    ) -> Sequence[Delivery]:
        """Lease due rows that head their key, longest due first; count the attempt.

        `owner` is the fence: each claim has a name of its own, also of one process.
        """

    async def renew(self, held: Mapping[str, str], lease_until: datetime) -> frozenset[str]:
        """Lengthen exactly these leases (dedup -> owner); return those still held so."""

    async def settle(self, outcomes: Sequence[Outcome]) -> Sequence[bool]:
        """Write outcomes; say of each whether its owner still held it. What it did not is unchanged."""

    async def release(
        self, destination: str, dedup: str | None = None, *, blocked: bool = True
    ) -> int:
        """Make waiting and, unless told otherwise, blocked rows (or one) due at once; return how many."""

    async def replay(self, destination: str, key: str) -> int:
        """Make all deliveries of a key due once more, done ones too; return how many.

        What was pruned cannot come again.
        """

    async def give_up(
        self, destination: str, dedup: str, reason: str, at: datetime
    ) -> Delivery | None:
        """End a row that nobody holds now; None if there is none. Later rows of its key go on."""

    async def of_order(self, key: str) -> Sequence[Delivery]:
        """Return the deliveries of one key, all destinations, in order."""

    async def blocked(self, limit: int) -> Sequence[Delivery]:
        """Return blocked rows, oldest first."""

    async def counts(self) -> dict[tuple[str, str], int]:
        """Return (destination, state) -> number of rows."""

    async def oldest(self) -> dict[str, datetime]:
        """Return destination -> when the oldest row that is pending or blocked was added."""

    async def prune(self, before: datetime, limit: int) -> int:
        """Drop payloads of rows settled before; return how many. Their dedup keys stay for ever."""

    async def pause(self, destination: str, paused: bool) -> None:  # noqa: FBT001  a state, not a mode
        """Stop or resume claims for a destination, durably."""

    async def paused(self) -> frozenset[str]:
        """Return the paused destinations."""


class CircuitRows(Protocol):
    """Destinations that failed last, one row each; none where the last delivery was answered."""

    async def get(self, destination: str) -> Circuit | None:
        """Return it, locked to the end of the transaction: one process at a time decides."""

    async def put(self, circuit: Circuit) -> None:
        """Insert or replace."""

    async def drop(self, destination: str) -> bool:
        """Say that it answers again; False if that was so."""

    async def all(self) -> Sequence[Circuit]:
        """Return all, by name."""
