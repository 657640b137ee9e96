"""How long a verdict takes here and now: what an order's deadline is held against.

The typical one of the last few, so that one outage does not make every later deadline look lost; and
never more than a minute, since where nothing is approved nothing is learned either.
"""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from statistics import median

REMEMBERED = 31
MOST = timedelta(minutes=1)


class Pace:
    """Durations of checks, and of signatures until they were seen in a block."""

    def __init__(self) -> None:
        self._checks: deque[float] = deque(maxlen=REMEMBERED)
        self._blocks: deque[float] = deque(maxlen=REMEMBERED)

    def checked(self, took: timedelta) -> None:
        """Note how long the checks of one order took."""
        self._checks.append(took.total_seconds())

    def mined(self, took: timedelta) -> None:
        """Note how long one signed transaction took into a block."""
        self._blocks.append(took.total_seconds())

    @property
    def needed(self) -> timedelta:
        """Return what an order needs from now until its approval stands in a block."""
        typical = sum(median(found) for found in (self._checks, self._blocks) if found)
        return min(timedelta(seconds=max(typical, 0)), MOST)
