"""Ending in order when told to: a signal cancels the work, and what it holds is given back."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

NUMBERS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
SIGNALLED = 128


async def until_told(work: Coroutine[Any, Any, T]) -> tuple[T | None, int]:
    """Run work; return its result and 0, or, cut off by a signal, the exit code that tells of it.

    Work that was done and only waited to be told, returns its result: that is no failure. Only the first signal counts: a second one would leave half of the end undone.
    """
    task, told = asyncio.ensure_future(work), list[int]()
    loop = asyncio.get_running_loop()

    def tell(number: int) -> None:
        if not told:
            told.append(number)
            task.cancel()

    for number in NUMBERS:
        loop.add_signal_handler(number, tell, number)
    try:
        return await task, 0
    except asyncio.CancelledError:
        if not told:
            raise
        return None, SIGNALLED + told[0]
