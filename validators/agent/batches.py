"""When what was decided is signed: at once while little is under way, together under load.

Every transaction has a cost of its own, so under load as many approvals as a block's share holds go
in one. Nobody waits for company while few of our transactions are on their way; and behind a certain
number of them nothing more is signed, so that a chain that stands still fills no pool.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from logging import ERROR, WARNING
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.units import format_time
from validators.agent import voice
from validators.agent.kept import Kept
from validators.agent.pace import Pace
from validators.agent.pen import Pen
from validators.journal.book import Book
from validators.rules.case import PASSING

LINGER = timedelta(milliseconds=250)
CERTAIN_FOR = timedelta(seconds=5)
ASK_AGAIN = timedelta(seconds=2)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Limits:
    """`batch`: orders in one transaction, whose gas limit then is below a quarter of a block of 10 million.

    `few`: transactions under way below which nothing waits. `most`: at which nothing more is signed.
    """

    batch: int = 20
    few: int = 2
    most: int = 16


class Batches:
    """The approvals of one key between decision and signature."""

    def __init__(self, *, pen: Pen, book: Book, kept: Kept, clock: ports.Clock, pace: Pace) -> None:
        self._pen = pen
        self._book = book
        self._kept = kept
        self._clock = clock
        self._pace = pace
        self.limits = Limits()
        self._saying = asyncio.Lock()
        self._asked: dict[ids.OrderId, tuple[datetime, bool]] = {}  # the chain: would it be taken?

    def decide(self, order: ids.OrderId, *entries: dict[str, Any]) -> None:
        """Note an approval that the chain would take now; `tell` signs it. Raise StorageError."""
        self._book.jot(*entries)
        self._asked[order] = (self._clock.now(), True)

    async def tell(self, *, now: bool = False) -> list[ids.OrderId]:
        """Sign and send what is to go; return its orders. `now`: nobody waits for company.

        Who comes while another one does it leaves it to that one. Raise ChainError, StorageError:
        what is decided stays so, and what is signed is in the journal.
        """
        said: list[ids.OrderId] = []
        if self._saying.locked() and not now:
            return said
        async with self._saying:
            while self._book.memory.decided:
                ready = await self._ready()
                if not await self._may_go(ready, now=now):
                    break
                said += await self._say(ready)
        return said

    def reopen(self) -> None:
        """At a start: what was decided and never signed is judged anew, its bytes fetched again."""
        for order, decided in tuple(self._book.memory.decided.items()):
            told = {"told": format_time(self._clock.now())} if "told" in decided else {}
            self._book.write({"kind": "reopened", "order": order.hex(), **told})

    async def _may_go(self, ready: Sequence[ids.OrderId], *, now: bool) -> bool:
        if not ready:
            return False
        under_way = await self._pen.under_way()
        if under_way >= self.limits.most:
            return False
        if now or under_way < self.limits.few or len(ready) >= self.limits.batch:
            return True
        return self._clock.now() - self._asked[ready[0]][0] >= LINGER

    async def _ready(self) -> list[ids.OrderId]:
        """Return the next to be signed in one transaction, those that the chain would take."""
        memory = self._book.memory
        self._asked = {it: found for it, found in self._asked.items() if it in memory.decided}
        doubtful = [order for order in memory.decided if self._is_doubtful(order)]
        await asyncio.gather(
            *(self._make_certain(order) for order in doubtful[: 2 * self.limits.batch])
        )
        certain = [order for order in memory.decided if self._is_certain(order)]
        alone = [order for order in certain if order in memory.alone]
        return alone[:1] or certain[: self.limits.batch]

    def _is_certain(self, order: ids.OrderId) -> bool:
        return not self._is_doubtful(order) and self._asked[order][1]

    def _is_doubtful(self, order: ids.OrderId) -> bool:
        """Say whether the chain must be asked once more: it said so long ago, never, or time runs out."""
        if order not in self._asked:
            return True
        (asked, good), now = self._asked[order], self._clock.now()
        deadline = self._book.memory.decided[order]["content"]["deadline"]
        near = (now + self._pace.needed).timestamp() >= deadline
        return now - asked >= (CERTAIN_FOR if good and not near else ASK_AGAIN)

    async def _make_certain(self, order: ids.OrderId) -> None:
        """Ask whether the chain would take an approval; what it never will is dropped: no gas for it."""
        why = await self._pen.try_out(voice.approve([self._book.memory.decided[order]]))
        if order not in self._book.memory.decided:
            return
        reason = why.fields.get("why") if why is not None else None
        if reason is None or reason in PASSING:
            self._asked[order] = (self._clock.now(), reason is None)
        elif reason == "Voted":
            self._book.jot({"kind": "said", "order": order.hex()})
        else:
            failed = reason not in {"State", "Late"}
            why_not = f"It cannot be approved. {why}"
            log.log(ERROR if failed else WARNING, "not signed", order=order.hex(), why=why_not)
            entry = {"kind": "closed", "order": order.hex(), "why": why_not, "failed": failed}
            self._book.jot(entry)

    async def _say(self, orders: Sequence[ids.OrderId]) -> list[ids.OrderId]:
        await self._kept.keep(*orders)
        still = [order for order in orders if order in self._book.memory.decided]
        if not still:
            return []
        signed = self._pen.sign_decided(still)
        for order in still:  # if it comes back, the chain is asked anew
            self._asked.pop(order, None)
        log.info("signed", orders=len(still), nonce=signed.nonce)
        try:
            await self._pen.broadcast(signed)
        except errors.ChainError as exc:  # it is in the journal: it costs time and nothing else
            log.warning("not sent yet", order=signed.order.hex(), why=str(exc))
        return still
