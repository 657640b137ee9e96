"""The Clock port on the machine's clock."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime


class SystemClock:
    """The time of this machine, which is expected to be synchronised (NTP)."""

    def now(self) -> datetime:
        """Return the present, UTC."""
        return datetime.now(UTC)

    async def sleep(self, seconds: float) -> None:
        """Wait."""
        await asyncio.sleep(seconds)
