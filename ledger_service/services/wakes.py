"""Wake-ups between loops of one process. Loops of other processes look for themselves, every period."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Iterable
from dataclasses import dataclass, field
from typing import Any


class Wake:
    """A bell with any number of listeners.

    Take `bell = wake.listen()` before looking for work and wait on it after: a ring in between is
    not missed.
    """

    def __init__(self) -> None:
        self._bell = asyncio.Event()

    def ring(self) -> None:
        """Wake everybody who listens now."""
        self._bell.set()
        self._bell = asyncio.Event()

    def listen(self) -> asyncio.Event:
        """Return what the next ring will set."""
        return self._bell


async def wait(bell: asyncio.Event, seconds: float) -> bool:
    """Wait for the ring; False if it did not come in time."""
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(bell.wait(), seconds)
    return bell.is_set()


async def ring_or_done(
    bell: asyncio.Event, tasks: Iterable[Awaitable[Any]], seconds: float
) -> None:
    """Wait for the ring, for the first of the tasks to end, or for so many seconds."""
    ring = asyncio.ensure_future(bell.wait())
    try:
        await asyncio.wait(
            {ring, *map(asyncio.ensure_future, tasks)},
            timeout=seconds,
            return_when=asyncio.FIRST_COMPLETED,
        )
    finally:
        ring.cancel()


@dataclass(frozen=True, slots=True)
class Wakes:
    """All bells of a process."""

    sealed: Wake = field(default_factory=Wake)  #: evidence waits to be anchored
    announced: Wake = field(default_factory=Wake)  #: the feed grew
    heads: Wake = field(default_factory=Wake)  #: the chain has a new head
    outbox: Wake = field(default_factory=Wake)  #: deliveries were added
