"""Apply: what facts of the chain do to our rows, for all facts of a block by a few statements."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import (
    Approved,
    Block,
    CancellationVoted,
    Fact,
    Moved,
    Proposed,
    Refused,
    Skipped,
)
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.order import OrdersDomain
from ledger_service.domain.records import Delivery, Hop, Move, Order, Result, TxState
from ledger_service.domain.result import Reason
from ledger_service.services import deliveries
from ledger_service.services.send import purpose

log = structlog.get_logger()


@dataclass(slots=True)
class Book:
    """What the facts are about, as it is after each of them, and what is to be written."""

    orders: dict[ids.OrderId, Order]
    facts: Mapping[ids.OrderId, Sequence[Fact]]
    results: Mapping[ids.OrderId, Sequence[Result]]
    hops: list[Hop] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    deliveries: list[tuple[Delivery, Fact]] = field(default_factory=list)

    def move(self, order: Order, status: Status, block: int, reason: str = "") -> None:
        """Set an order's status."""
        self.moves.append(Move(order.id, status, block, reason))
        self.orders[order.id] = replace(order, status=status, block=block, reason=reason)

    def up_to(self, fact: Fact) -> Sequence[Fact]:
        """Return what the chain had said of a fact's order when it said this."""
        return [it for it in self.facts[fact.event.order] if it.place.id <= fact.place.id]


class Apply:
    """Moves orders, notes hops and adds deliveries as the chain says; in the caller's transaction."""

    def __init__(
        self,
        *,
        domain: OrdersDomain,
        builder: ids.Address,
        routes: Mapping[str, frozenset[Status]],
        clock: ports.Clock,
    ) -> None:
        """`builder`: our key, whose orders have their rows here.

        `routes`: destination -> statuses it is told of.
        """
        self._domain = domain
        self._builder = builder
        self._routes = routes
        self._clock = clock

    async def facts(
        self, rows: ports.Transaction, facts: Sequence[Fact], blocks: Mapping[int, Block]
    ) -> int:
        """Let facts that are written have their effects; return how many deliveries they made.

        `facts` in chain order; `blocks` has theirs. Raise IllegalMove.
        """
        orders = await rows.orders.some(*dict.fromkeys(fact.event.order for fact in facts))
        for fact in facts:
            if fact.event.order not in orders:
                await self._pass_over(rows, fact)
        ours = [fact for fact in facts if fact.event.order in orders]
        if not ours:
            return 0
        book = await _open(rows, dict(orders), ours)
        for fact in ours:
            self._enter(book, fact, blocks[fact.place.block])
        proposed = [fact.event.order for fact in ours if isinstance(fact.event, Proposed)]
        await rows.outgoing.settle([purpose([order]) for order in proposed], TxState.MINED)
        await rows.orders.move(*book.moves)
        await rows.evidence.hop(*book.hops)
        return await _enqueue(rows, book.deliveries)

    def _enter(self, book: Book, fact: Fact, block: Block) -> None:
        order, event = book.orders[fact.event.order], fact.event
        name, detail = _told(fact)
        book.hops.append(Hop(order.content.evidence, name, self._clock.now(), detail=detail))
        if isinstance(event, Proposed):
            if order.status is Status.NONE:
                book.move(order, Status.PROPOSED, block.number)
        elif isinstance(event, Moved):
            book.move(order, event.status, block.number, _reason(book, fact, event))
            book.deliveries += self._deliveries(book, fact, block)

    def _deliveries(self, book: Book, fact: Fact, block: Block) -> list[tuple[Delivery, Fact]]:
        order = book.orders[fact.event.order]
        wanted = [name for name, statuses in self._routes.items() if order.status in statuses]
        if not wanted:
            return []
        payload = deliveries.payload(
            order,
            fact,
            block,
            facts=book.up_to(fact),
            results=book.results.get(order.id, ()),
            domain=self._domain,
        )
        return [(deliveries.delivery(name, payload, self._clock.now()), fact) for name in wanted]

    async def _pass_over(self, rows: ports.Transaction, fact: Fact) -> None:
        """Leave an order of another builder; one of ours that has no row is looked for.

        An emergency that nobody here delivers is said aloud.
        """
        event, order = fact.event, fact.event.order.hex()
        if isinstance(event, Proposed) and event.content.builder == self._builder:
            await self._seek(rows, event)
        elif isinstance(event, Moved) and event.status is Status.EMERGENCY:
            log.warning(
                "an emergency of another builder: it is not delivered from here", order=order
            )
        else:
            log.info("an order of another builder", order=order)

    async def _seek(self, rows: ports.Transaction, event: Proposed) -> None:
        """Let an order of ours that was lost here be adopted, by giving its evidence to the anchor.

        If the evidence is lost as well, who posts it again brings both back.
        """
        wanted, name = event.content.evidence, event.order.hex()
        try:
            evidence = await rows.evidence.get(wanted)
        except errors.NotFound:
            text = "an order of ours is on chain and lost here: post its evidence again"
            log.error(text, order=name, evidence=wanted.hex())  # noqa: TRY400  no trace is needed
            return
        log.warning("an order of ours is on chain and lost here: it is adopted", order=name)
        if evidence.stage is not Stage.SEALED:
            await rows.evidence.move(wanted, Stage.SEALED, expected=evidence.stage)
        await rows.evidence.hop(Hop(wanted, "found on chain", self._clock.now(), detail=name))


async def _open(
    rows: ports.Transaction, orders: dict[ids.OrderId, Order], facts: Sequence[Fact]
) -> Book:
    """Read what the moves among the facts need: all facts and results of their orders."""
    moved = dict.fromkeys(it.event.order for it in facts if isinstance(it.event, Moved))
    said: dict[ids.OrderId, list[Fact]] = {name: [] for name in moved}
    results: dict[ids.OrderId, list[Result]] = {name: [] for name in moved}
    if moved:
        for fact in await rows.chain.facts(*moved):
            said[fact.event.order].append(fact)
        for result in await rows.orders.results(*moved):
            results[result.order].append(result)
    return Book(orders, said, results)


async def _enqueue(rows: ports.Transaction, items: Sequence[tuple[Delivery, Fact]]) -> int:
    """Add deliveries. Where the place of one was another fact's, before a rewrite, that one is kept."""
    added = await rows.outbox.add(*(item for item, _ in items))
    for item, fact in items:
        if item.dedup in added:
            continue
        held = await rows.outbox.of_order(item.key)
        if any((it.dedup, it.kind) == (item.dedup, item.kind) for it in held):
            continue
        mark = f"{fact.place.id}~{fact.place.block_hash.hex()[:8]}"
        log.warning("a fact stands where another was delivered", place=mark, order=item.key)
        payload = {**item.payload, "eventId": mark}
        beside = replace(item, dedup=f"{mark}:{item.destination}", payload=payload)
        await rows.outbox.add(beside)
    return len(items)


def _told(fact: Fact) -> tuple[str, str]:
    """Return what the tracker shows of a fact: name and detail of its hop."""
    event, detail = fact.event, f"block {fact.place.block}"
    match event:
        case Proposed():
            return "proposed", detail
        case Approved():
            return f"approved by {event.organisation}", detail
        case Refused():
            return f"refused by {event.organisation}", f"{detail}, {_reason_title(event.reason)}"
        case CancellationVoted():
            return f"cancellation wanted by {event.organisation}", detail
        case Moved():
            return event.status.title.lower(), detail
        case Skipped():
            return "skipped", detail


def _reason(book: Book, fact: Fact, event: Moved) -> str:
    """Return why the order was refused, in words; empty for other moves."""
    if event.status not in {Status.REFUSED, Status.CONTESTED}:
        return ""
    for earlier in reversed(book.up_to(fact)):
        if isinstance(earlier.event, Refused):
            return _reason_title(earlier.event.reason)
    return ""


def _reason_title(number: int) -> str:
    try:
        return Reason(number).title
    except ValueError:
        return f"reason {number}"
