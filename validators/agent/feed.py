"""Where we stand in the feed: behind the last line that we took, which must still be there.

The service numbers its lines. After a restore from a backup its numbers begin lower, and new lines get
numbers that we passed; so the last line is asked for again now and then, and where another stands
there, or none, the feed is read anew from its beginning. What was judged is not judged twice.
"""

from __future__ import annotations

from typing import Any

import structlog

from ledger_service import ports
from validators.agent.source import Source
from validators.journal.book import Book

WAIT_SECONDS = 20.0
PAUSE_SECONDS = 0.2
FULL_PAGE = 20  #: lines; the service tells no more at once
MAX_SEQUENCE = 2**53 - 1  #: beyond it the service takes no number

log = structlog.get_logger()


class Feed:
    """The lines of the feed, page by page."""

    def __init__(self, source: Source, book: Book, clock: ports.Clock) -> None:
        self._source = source
        self._book = book
        self._clock = clock
        self._after, self._line = book.memory.feed, book.memory.feed_line
        self._certain = False
        self.behind = False  #: the last page was full, so the next one tells of more

    async def read(self) -> list[Any]:
        """Return the next lines; `passed` tells that they were taken. Raise SourceDown, NotFound."""
        if self._after and not self._certain:
            await self._make_certain()
        try:
            page = await self._source.feed(self._after, WAIT_SECONDS)
        except BaseException:
            self._certain = self.behind = False  # who comes back may be another
            raise
        self.behind = len(page) >= FULL_PAGE
        if not _numbered(page, self._after):
            self._certain = False
            await self._clock.sleep(PAUSE_SECONDS)  # if the service did not wait
        return page

    def passed(self, page: list[Any]) -> None:
        """Go on behind a page: behind its highest number, whatever the service says of it."""
        found = _numbered(page, self._after)
        if found:
            self._after = max(found)
            self._line = found[self._after]

    def save(self) -> None:
        """Write down where we stand."""
        memory = self._book.memory
        if (self._after, self._line) != (memory.feed, memory.feed_line):
            self._book.write({"kind": "feed", "next": self._after, "line": self._line})

    async def _make_certain(self) -> None:
        found = _numbered(await self._source.feed(self._after - 1, 0), self._after - 1)
        if found.get(self._after) != self._line:
            log.warning("the feed is another one, and is read anew", after=self._after)
            self._after, self._line = 0, ""
        self._certain = True


def _numbered(page: list[Any], after: int) -> dict[int, str]:
    """Return what stands under each number of a page behind `after`; junk has none."""
    found = {}
    for item in page:
        number = item.get("sequence") if isinstance(item, dict) else None
        if type(number) is int and after < number <= MAX_SEQUENCE:
            found[number] = f"{item.get('kind')} {item.get('order')}"[:200]
    return found
