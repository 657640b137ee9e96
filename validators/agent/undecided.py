"""Orders without a verdict yet: open in the journal until there is one, or nothing more to say.

What stands on chain stays open until then. What only the service told of is tried again for ten
minutes, a hundred orders at most, and forgotten: once it is proposed, the chain tells of it. The same
holds for what a rewrite of the chain took out, and what nobody can propose any more.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.order import Content
from ledger_service.domain.units import format_time
from validators.agent.kept import Kept
from validators.journal.book import Book
from validators.rules.case import NotProposable

MOST_TOLD = 100
TOLD_FOR = timedelta(minutes=10)

log = structlog.get_logger()


class Undecided:
    """Puts off, forgets and closes."""

    def __init__(self, book: Book, kept: Kept, clock: ports.Clock) -> None:
        self._book = book
        self._kept = kept
        self._clock = clock
        self.unwritten: dict[ids.OrderId, Content] = {}  # while the disk is full
        self._gone: dict[ids.OrderId, datetime] = {}  #: since when, by the chain's own clock

    def put_off(
        self,
        order: ids.OrderId,
        content: Content,
        why: str,
        *,
        later: bool,
        told: bool,
        late: bool = False,
    ) -> None:
        """Note that there is no verdict; `later`: there may be one. `told`: by the service alone.

        `late`: there will be none in time. That is said once, while somebody may still do something.
        """
        memory = self._book.memory
        before = memory.open.get(order)
        if late and not told:
            self.too_late(order, content.deadline, why)
        if not later:
            log.info("nothing to say", order=order.hex(), why=why)
            if before is not None:
                (self.forget if told else self.close)(order, why)
            return
        log.warning("no verdict yet", order=order.hex(), why=why)
        self.unwritten.pop(order, None)
        if memory.known(order) or (before is not None and (told or "told" not in before)):
            return
        entry = {"kind": "open", "order": order.hex(), "content": content.as_json()}
        if not told:
            self._write_open(order, content, entry)
        elif memory.told() < MOST_TOLD:
            self._write_told(order, {**entry, "told": format_time(self._clock.now())})

    def _write_told(self, order: ids.OrderId, entry: dict[str, Any]) -> None:
        try:
            self._book.write(entry)
        except errors.StorageError as exc:  # whoever comes next must not miss that it was proposed
            log.warning("not remembered, the chain will tell", order=order.hex(), why=str(exc))

    def too_late(self, order: ids.OrderId, deadline: int, why: str) -> None:
        """Say once that an order will have no verdict in time. `deadline` in Unix seconds."""
        if order in self._book.memory.late:
            return
        entry = {
            "kind": "late",
            "order": order.hex(),
            "why": why,
            "at": format_time(self._clock.now()),
            "deadline": deadline,
        }
        log.error("too late", order=order.hex(), why=why, late=len(self._book.memory.late) + 1)
        with suppress(errors.StorageError):
            self._book.jot(entry)

    def _write_open(self, order: ids.OrderId, content: Content, entry: dict[str, Any]) -> None:
        try:
            self._book.write(entry)
        except errors.StorageError as exc:
            log.warning("remembered until the next stop only", order=order.hex(), why=str(exc))
            self.unwritten[order] = content

    def is_gone(self, order: ids.OrderId, exc: Exception) -> bool:
        """Forget an order that is open and that the chain no longer has; say whether that was now.

        By the chain's own clock: a node that stands still does not know what was proposed since.
        """
        entry = self._book.memory.open.get(order)
        if not isinstance(exc, NotProposable) or entry is None or "told" in entry:
            self._gone.pop(order, None)
            return False
        if exc.at - self._gone.setdefault(order, exc.at) < TOLD_FOR:
            return False
        self.forget(order, f"It is not on chain any more. {exc}")
        return True

    def tidy(self) -> None:
        """Forget what was told of long ago and is not proposed."""
        now = self._clock.now()
        self._gone = {it: at for it, at in self._gone.items() if it in self._book.memory.open}
        for order, entry in tuple(self._book.memory.open.items()):
            if "told" in entry and now - datetime.fromisoformat(entry["told"]) > TOLD_FOR:
                self.forget(order, "It is not proposed.")

    def forget(self, order: ids.OrderId, why: str) -> None:
        """Forget an order; it may be told of again."""
        self._kept.let_go(order)
        if order in self._book.memory.open:
            self._book.write({"kind": "forgotten", "order": order.hex(), "why": why})

    def close(self, order: ids.OrderId, why: str, *, failed: bool = False) -> None:
        """Close an order for ever."""
        if failed:
            log.error("no verdict", order=order.hex(), why=why)
        self._kept.let_go(order)
        entry = {"kind": "closed", "order": order.hex(), "why": why, "failed": failed}
        self._book.write(entry)
