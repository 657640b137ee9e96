"""Our own copies of what we approved, fetched anew after a journal, or the whole folder, was lost."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.order import Content
from ledger_service.domain.result import Reason
from validators.agent.check import Checker
from validators.agent.entries import named, seen
from validators.agent.source import Source
from validators.journal.book import Book
from validators.rules.case import Announced, CannotSay, Refused

AT_ONCE = 2  # behind whatever is judged now
PAUSE = timedelta(seconds=10)
LONG_PAUSE = timedelta(hours=1)  # what the service does not have it will hardly have a moment later
GIVEN_UP_AFTER = timedelta(days=30)

log = structlog.get_logger()


class Copies:
    """Copies of approvals that the chain reminded us of."""

    def __init__(self, *, book: Book, source: Source, checker: Checker, clock: ports.Clock) -> None:
        self._book = book
        self._source = source
        self._checker = checker
        self._clock = clock
        self._tasks: dict[ids.OrderId, asyncio.Task[None]] = {}
        self._not_before: dict[ids.OrderId, datetime] = {}

    def tend(self) -> None:
        """Go on fetching what is missing, a few at a time: nothing else waits for it."""
        now = self._clock.now()
        for order in self._book.memory.copies:
            if len(self._tasks) >= AT_ONCE:
                return
            if order not in self._tasks and self._not_before.get(order, now) <= now:
                self._begin(order)

    async def drain(self) -> None:
        """Wait for what is being fetched."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values())

    async def stop(self) -> None:
        """Cancel what is being fetched."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def _begin(self, order: ids.OrderId) -> None:
        self._tasks[order] = asyncio.create_task(self._fetch(order))
        self._tasks[order].add_done_callback(lambda _: self._tasks.pop(order))

    async def _fetch(self, order: ids.OrderId) -> None:
        """Fetch one, or say that it is gone; a failure is tried again."""
        entry = self._book.memory.copies[order]
        content = Content.from_json(entry["content"])
        try:
            envelope = await self._source.envelope(content.evidence)
            item = Announced(order, content, b"", envelope)
            self._name(item)
            await self._checker.copy(item)
        except (errors.NotFound, Refused) as exc:
            self._not_there(order, datetime.fromisoformat(entry["at"]), exc)
        except (CannotSay, errors.LedgerError) as exc:
            log.warning("no copy yet", order=order.hex(), why=str(exc))
            self._not_before[order] = self._clock.now() + PAUSE
        else:
            self._end(order, "")

    def _not_there(self, order: ids.OrderId, since: datetime, exc: Exception) -> None:
        """Try for a long time: a service that has it not, or has wrong bytes, may be mended."""
        now = self._clock.now()
        final = isinstance(exc, Refused) and exc.refusal.reason is not Reason.DIGEST_MISMATCH
        if final or now - since >= GIVEN_UP_AFTER:
            log.error("our copy is gone", order=order.hex(), why=str(exc))
            self._end(order, f"Our copy is gone. {exc}")
            return
        log.warning("no copy there", order=order.hex(), why=str(exc))
        self._not_before[order] = now + LONG_PAUSE

    def _end(self, order: ids.OrderId, why: str) -> None:
        self._not_before.pop(order, None)
        self._book.jot({"kind": "copied", "order": order.hex(), "why": why})

    def _name(self, item: Announced) -> None:
        """Complete what was recalled without its statement. Raise Refused, CannotSay, StorageError."""
        if item.order in self._book.memory.unnamed:
            claim = self._checker.statement(item)
            self._book.write(seen(item, claim), named(item.order, claim))
