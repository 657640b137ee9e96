"""Our own copies of what we approved, fetched anew after a journal, or the whole folder, was lost."""

from __future__ import annotations

import asyncio

import structlog

from ledger_service.domain import errors, ids
from ledger_service.domain.order import Content
from validators.agent.check import Checker
from validators.agent.entries import named, seen
from validators.agent.source import Source
from validators.journal.book import Book
from validators.rules.case import Announced, CannotSay, Refused

AT_ONCE = 2  # behind whatever is judged now

log = structlog.get_logger()


class Copies:
    """Copies of approvals that the chain reminded us of."""

    def __init__(self, *, book: Book, source: Source, checker: Checker) -> None:
        self._book = book
        self._source = source
        self._checker = checker
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def fetch(self, order: ids.OrderId) -> None:
        """Fetch one, or say that it is gone; a failure is tried again."""
        content = Content.from_json(self._book.memory.copies[order]["content"])
        try:
            async with self._slots:
                envelope = await self._source.envelope(content.evidence)
                item = Announced(order, content, b"", envelope)
                self._name(item)
                await self._checker.copy(item)
        except (errors.NotFound, Refused) as exc:
            log.error("our copy is gone", order=order.hex(), why=str(exc))  # noqa: TRY400  no bug
        except (CannotSay, errors.LedgerError) as exc:
            log.warning("no copy yet", order=order.hex(), why=str(exc))
            return
        self._book.jot({"kind": "copied", "order": order.hex()})

    def _name(self, item: Announced) -> None:
        """Complete what was recalled without its statement. Raise Refused, CannotSay, StorageError."""
        if item.order in self._book.memory.unnamed:
            claim = self._checker.statement(item)
            self._book.write(seen(item, claim), named(item.order, claim))
