"""A clock that moves only when told, or when somebody sleeps on it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


class FakeClock:
    """The Clock port."""

    def __init__(self, now: datetime = START) -> None:
        self._now = now

    def now(self) -> datetime:
        """Return the present of this clock."""
        return self._now

    async def sleep(self, seconds: float) -> None:
        """Let the time pass at once; others get their turn."""
        self._now += timedelta(seconds=seconds)
        await asyncio.sleep(0)

    def advance(self, **units: float) -> None:
        """Move on by a timedelta's arguments."""
        self._now += timedelta(**units)
