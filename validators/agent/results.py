"""Result documents of our approvals, handed in to the service: each until it has it, or nobody can want it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.units import format_time
from validators.agent.source import MOST_RESULTS, Source, SourceDown
from validators.journal.book import Book
from validators.rules.policy import Policy

AT_ONCE = 4

log = structlog.get_logger()


class Results:
    """One organisation's result documents."""

    def __init__(
        self,
        *,
        organisation: int,
        ledger: ports.Ledger,
        source: Source,
        book: Book,
        policy: Policy,
        clock: ports.Clock,
    ) -> None:
        self._organisation = organisation
        self._ledger = ledger
        self._source = source
        self._book = book
        self._policy = policy
        self._clock = clock
        self._handing = asyncio.Semaphore(AT_ONCE)

    async def hand_in(self, orders: Sequence[ids.OrderId]) -> None:
        """Hand in the result documents of approvals, if not there yet; a failure is tried again.

        Raise ChainError, StorageError.
        """
        memory = self._book.memory
        waiting = [it for it in orders if it in memory.results and it not in memory.decided]
        for at in range(0, len(waiting), MOST_RESULTS):
            await self._hand_in(waiting[at : at + MOST_RESULTS])

    async def _hand_in(self, orders: Sequence[ids.OrderId]) -> None:
        results = self._book.memory.results
        documents = {order: results[order] for order in orders if order in results}
        try:
            async with self._handing:
                refused = await self._source.hand_in(self._organisation, documents)
        except (errors.NotFound, SourceDown) as exc:
            log.warning("results not handed in", orders=len(documents), why=str(exc))
            return
        at = format_time(self._clock.now())
        taken = [order.hex() for order in documents if order not in refused]
        if taken:
            self._book.jot(*({"kind": "handed", "order": order, "at": at} for order in taken))
        for order, why in refused.items():
            log.warning("result not handed in", order=order.hex(), why=why)
            if await self._is_nowhere(order):
                self._book.jot({"kind": "handed", "order": order.hex(), "why": why})

    async def _is_nowhere(self, order: ids.OrderId) -> bool:
        """Say whether an order is not on chain long after we approved it, and not to be taken back. Raise ChainError.

        By the chain's own clock: a node that stands still does not know what was proposed since.
        """
        memory = self._book.memory
        if order in memory.unproposed or order not in memory.verdicts:
            return False
        word, head = await asyncio.gather(self._ledger.word(order), self._ledger.head())
        end = datetime.fromisoformat(memory.verdicts[order]["at"])
        end += timedelta(minutes=self._policy.not_proposed_minutes)
        return word.status is Status.NONE and head.time >= end.timestamp()
