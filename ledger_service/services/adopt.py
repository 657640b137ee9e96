"""Adopt: orders of ours that are on chain and not in our rows, as after a restore from an older copy.

An order's content stands on chain, and its document follows from evidence and job plan. So it is
taken in as if it had never been lost, with all that the chain said of it; no second one is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids, order
from ledger_service.domain.facts import Proposed
from ledger_service.domain.lifecycle import Stage
from ledger_service.domain.order import Content
from ledger_service.domain.records import Evidence, Hop, Order
from ledger_service.services.announce import announcement
from ledger_service.services.follow import Follow
from ledger_service.services.wakes import Wakes

Write = Callable[[Evidence, Content], bytes]  #: the document that this builder makes for a content

log = structlog.get_logger()


class NotYet(Exception):
    """The chain has an order of this evidence, and it cannot be taken in at this moment."""


class NotTheDocument(Exception):
    """What is written now is not what an order's digest was made of."""


class Adopt:
    """Takes orders in that the chain knows and the rows do not."""

    def __init__(
        self,
        *,
        store: ports.Store,
        ledger: ports.Ledger,
        builder: ids.Address,
        follow: Follow,
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._builder = builder
        self._follow = follow
        self._clock = clock
        self._wakes = wakes

    async def take(self, evidence: Evidence, last: ids.OrderId, write: Write) -> bool:
        """Adopt what is lost of an evidence's orders, of which `last` is the last one on chain.

        False if nothing is: then it is the builder's to decide. Raise NotYet, NotTheDocument.
        """
        contents = await self._lost(evidence, last)
        orders = [self._order(evidence, content, write(evidence, content)) for content in contents]
        if not orders:
            return False
        try:
            await self._commit(evidence, orders)
        except errors.Conflict as exc:  # another process, or an order whose end is not written yet
            raise NotYet from exc
        log.warning("adopted from the chain", evidence=evidence.id.hex(), orders=len(orders))
        self._wakes.announced.ring()
        self._wakes.outbox.ring()
        return True

    async def _lost(self, evidence: Evidence, last: ids.OrderId) -> Sequence[Content]:
        """Return the contents of the orders that are lost, in chain order."""
        async with self._store.reading() as rows:
            if any(item.id == last for item in await rows.orders.of_evidence(evidence.id)):
                return ()
            facts, cursor = await rows.chain.facts(last), await rows.chain.cursor()
        events = [fact.event for fact in facts if isinstance(fact.event, Proposed)]
        if not events:
            word = await self._ledger.word(last)
            if cursor is None or cursor.time <= word.proposed_at:
                raise NotYet
            return ()  # it is in no block of this contract: a predecessor's
        content = events[0].content
        if content.builder != self._builder:
            return ()
        if content.attempt == 1:
            return (content,)
        async with self._store.reading() as rows:
            strays = await rows.chain.strays(self._builder, evidence.id)
        return [stray.content for stray in strays]

    def _order(self, evidence: Evidence, content: Content, document: bytes) -> Order:
        name = order.order_id(content, self._ledger.orders)
        if order.order_digest(document) != content.order_digest:
            raise NotTheDocument(
                f"Order {name.hex()} of ours is on chain, and was made by another job plan or"
                " currency than there is now: put it back, then try again."
            )
        return Order(name, content, evidence.asset, document, self._clock.now())

    async def _commit(self, evidence: Evidence, orders: Sequence[Order]) -> None:
        async with self._store.transaction() as rows:
            await rows.chain.hold()  # what the chain says of them next finds them here
            await rows.evidence.move(evidence.id, Stage.ANCHORING, expected=Stage.SEALED)
            for item in orders:
                await self._add(rows, evidence, item)

    async def _add(self, rows: ports.Transaction, evidence: Evidence, item: Order) -> None:
        await rows.orders.add(item)
        await rows.orders.announce("order", item.id, announcement(item, evidence.envelope))
        detail = f"attempt {item.content.attempt}, order {item.id.hex()}"
        await rows.evidence.hop(Hop(evidence.id, "adopted", self._clock.now(), detail=detail))
        await self._follow.replay(rows, item.id)
