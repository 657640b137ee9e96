"""Whether our clock and the chain's agree: windows and deadlines are judged by both.

A new block of the future means that ours is behind. One that is old when it comes means that ours is
ahead, unless a node only catches up: then many come within moments.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain.facts import Block
from validators.rules.policy import CLOCK_SKEW

SAY_AGAIN = timedelta(minutes=10)

log = structlog.get_logger()


class Skew:
    """Compares each new head with our clock; says at most every ten minutes that they differ."""

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._before: tuple[Block, datetime] | None = None
        self._said: datetime | None = None

    def look(self, head: Block) -> timedelta | None:
        """Return by how much our clock is ahead (behind, if negative), None while nothing is wrong."""
        now, before = self._clock.now(), self._before
        self._before = (head, now)
        ahead = timedelta(seconds=now.timestamp() - head.time)
        if abs(ahead) <= CLOCK_SKEW:
            return None
        if ahead > CLOCK_SKEW and (before is None or not _lives(before, head, now)):
            return None
        if self._said is None or abs(now - self._said) >= SAY_AGAIN:
            self._said = now
            log.error("our clock is not the chain's", ahead_seconds=round(ahead.total_seconds()))
        return ahead


def _lives(before: tuple[Block, datetime], head: Block, now: datetime) -> bool:
    """Say whether blocks come as fast as they are made: then they are new."""
    block, at = before
    return head.number > block.number and (now - at).total_seconds() + 1 >= head.time - block.time
