"""What we said before and the journal does not have: read from the chain before anything new is judged."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN
from ledger_service.domain.order import Content
from ledger_service.domain.statement import Statement
from ledger_service.domain.units import format_time
from validators.agent.accounts import BY_CHAIN
from validators.agent.check import Checker
from validators.agent.entries import Place, seen, unnamed, verdict
from validators.agent.places import Places
from validators.agent.source import Source, announced
from validators.journal.book import Book
from validators.rules.case import Announced, CannotSay, Refused

AT_ONCE = 16

log = structlog.get_logger()


class Recall:
    """Verdicts that the chain has and the journal has not."""

    def __init__(
        self, *, places: Places, checker: Checker, source: Source, book: Book, clock: ports.Clock
    ) -> None:
        self._places = places
        self._checker = checker
        self._source = source
        self._book = book
        self._clock = clock
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._missing: set[ids.OrderId] = set()
        self._doubtful: dict[ids.OrderId, Announced] = {}

    def is_whole(self) -> bool:
        """Say whether no verdict of ours is known to be missing."""
        return not self._missing

    def demand(self) -> None:
        """Demand that the memory is whole: rules look at what was said before. Raise CannotSay."""
        if self._missing:
            raise CannotSay("What we said before is still being recalled.", later=True)

    async def place(self, item: Announced) -> Place:
        """Find our place; a verdict of ours that we do not know of is missing from now. Raise CannotSay."""
        place = await self._places.find(item)
        if place.spoken and not self._book.memory.known(item.order):
            self._missing.add(item.order)
        return place

    def doubt(self, item: Announced) -> None:
        """Let `first` look whether we spoke of an order. One without document and envelope will do."""
        self._doubtful.setdefault(item.order, item)

    def doubt_waiting(self) -> None:
        """Doubt what waits: in a journal that is older than the chain, we may have spoken of it since."""
        memory = self._book.memory
        for entry in memory.pending.values():
            self.doubt(announced(entry))
        for order, entry in memory.open.items():
            self.doubt(Announced(order, Content.from_json(entry["content"]), b"", b""))

    async def first(self) -> None:
        """Recall what we said of all doubtful orders. Raise ChainError.

        What cannot be recalled now stays missing, so that nothing is judged before it is.
        """
        verdicts = self._book.memory.verdicts
        unknown = [item for order, item in self._doubtful.items() if order not in verdicts]
        places = await asyncio.gather(*(self._spoken(item) for item in unknown))
        found = zip(unknown, places, strict=True)
        spoken = [(item, place) for item, place in found if place is not None]
        self._missing.update(item.order for item, _ in spoken)
        await asyncio.gather(*(self._try(item, place) for item, place in spoken))
        self._doubtful.clear()

    async def fetch(self, item: Announced, place: Place) -> None:
        """Recall a verdict with what the service has of its statement. Raise SourceDown, CannotSay."""
        if not item.envelope:
            try:
                envelope = await self._source.envelope(item.content.evidence)
            except errors.NotFound:
                envelope = b""
            item = replace(item, envelope=envelope)
        self.note(item, place)

    def note(self, item: Announced, place: Place) -> None:
        """Write down a verdict of ours that the chain has and the journal has not. Raise CannotSay."""
        claim = self._claim(item) if item.envelope else None
        entry = {
            **verdict(item, "approve" if place.approved else "refuse", claim, place),
            "at": format_time(self._clock.now()),
            "by": BY_CHAIN,
        }
        if place.approved and claim is None:
            entry |= unnamed(place)
        ended: list[dict[str, Any]] = []
        if place.word.status in MAY_TRY_AGAIN:
            ended = [{"kind": "ended", "order": item.order.hex()}]
        log.warning("recalled from the chain", order=item.order.hex(), verdict=entry["verdict"])
        self._book.write(seen(item, claim), entry, *ended)
        self._missing.discard(item.order)

    async def _spoken(self, item: Announced) -> Place | None:
        """Return our place if we spoke there."""
        async with self._slots:
            try:
                place = await self._places.find(item)
            except CannotSay:  # there is nothing of ours
                return None
        return place if place.spoken else None

    async def _try(self, item: Announced, place: Place) -> None:
        async with self._slots:
            try:
                await self.fetch(item, place)
            except (
                CannotSay,
                errors.LedgerError,
            ) as exc:  # the service is away, or the disk is full
                log.warning("not recalled yet", order=item.order.hex(), why=str(exc))

    def _claim(self, item: Announced) -> Statement | None:
        try:
            return self._checker.statement(item)
        except Refused:
            return None  # we refused it for that
