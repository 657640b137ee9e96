"""Due: which destinations have something to take on, asked once for all relays that are idle."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from ledger_service import ports


class Due:
    """Looks for all relays of a process, by reading: nothing is locked and nothing is written."""

    def __init__(self, store: ports.Store, clock: ports.Clock, destinations: Sequence[str]) -> None:
        self._store = store
        self._clock = clock
        self._destinations = tuple(destinations)
        self._turn = asyncio.Lock()
        self._begun = 0
        self._found: tuple[int, frozenset[str]] = (0, frozenset())

    async def at(self, destination: str) -> bool:
        """Say whether a destination has something to take on now. Raise StorageError.

        An answer is shared with those who asked before that look began, as relays do that one bell
        woke. To who asks later it is too old: it may not know of what the last ring was for.
        """
        too_old = self._begun
        async with self._turn:
            number, found = self._found
            if number <= too_old:
                await asyncio.sleep(0)  # who is awake now shares this look
                number, found = await self._look()
            return destination in found

    async def _look(self) -> tuple[int, frozenset[str]]:
        self._begun += 1
        number = self._begun
        async with self._store.reading() as rows:
            found = await rows.outbox.due(self._destinations, self._clock.now())
        self._found = (number, found)
        return self._found
