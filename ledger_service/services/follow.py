"""Follow: final blocks in, one transaction each: facts, moves, deliveries, proofs, cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import (
    Approved,
    Block,
    CancellationVoted,
    CapturedProof,
    Dispute,
    Fact,
    Moved,
    Proposed,
    Refused,
    Rival,
    Skipped,
)
from ledger_service.domain.lifecycle import SETTLED, Stage, Status
from ledger_service.domain.records import Delivery, Hop, Order, TxState
from ledger_service.domain.result import Reason
from ledger_service.services import deliveries
from ledger_service.services.dispute import refuse_if_open, stop_for
from ledger_service.services.send import BATCH, purpose
from ledger_service.services.wakes import Wakes

CATCH_UP = 50
READ_AT_ONCE = 10

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Taken:
    """A block with what it holds for us."""

    block: Block
    facts: Sequence[Fact]
    proofs: Sequence[CapturedProof]


class Follow:
    """Takes final blocks in, in order, each exactly once; takes back what the chain took back."""

    def __init__(
        self,
        *,
        store: ports.Store,
        ledger: ports.Ledger,
        start: int,
        builder: ids.Address,
        routes: Mapping[str, frozenset[Status]],
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        """`start`: the deployment's block; `builder`: our key, whose orders have their rows here.

        `routes`: destination -> statuses it is told of.
        """
        self._store = store
        self._ledger = ledger
        self._start = start
        self._builder = builder
        self._routes = routes
        self._clock = clock
        self._wakes = wakes

    async def step(self) -> bool:
        """Take in what is final, at most 50 blocks; say whether there may be more.

        Raise ChainError, StorageError; CursorMoved if another process follows as well; NodesDisagree
        from when two nodes have different final blocks until an operator says which is right.
        """
        async with self._store.reading() as rows:
            cursor, dispute = await rows.chain.cursor(), await rows.disputes.last()
        refuse_if_open(dispute)
        if dispute is not None and dispute.accepted is not None:
            self._ledger.agree(dispute.number, dispute.accepted)
        blocks = await self._ledger.final_blocks(cursor, self._start, CATCH_UP)
        if not blocks:
            return False
        if cursor is not None and blocks[0].parent != cursor.hash:
            await self._rewrite(cursor, dispute)
            return True
        # What is below the last one is the same wherever the last one is.
        taken, rival = await asyncio.gather(
            self._read_all(blocks[:READ_AT_ONCE]), self._ledger.rival(blocks[-1])
        )
        await self._check(rival, blocks[-1])
        for at, block in enumerate(blocks):
            if at and at % READ_AT_ONCE == 0:
                taken = await self._read_all(blocks[at : at + READ_AT_ONCE])
            await self._take(taken[at % READ_AT_ONCE], cursor)
            cursor = block
        return len(blocks) == CATCH_UP

    async def replay(self, rows: ports.Transaction, order: ids.OrderId) -> None:
        """Let what the chain said of an order before it had its row have its effects now.

        In the caller's transaction, which holds the cursor.
        """
        for fact in await rows.chain.facts(order):
            block = await rows.chain.block(fact.place.block)
            assert block is not None, "a fact is written with its block"
            await self._apply(rows, fact, block)

    async def lag(self) -> int:
        """Return how many final blocks are not taken in yet."""
        async with self._store.reading() as rows:
            cursor = await rows.chain.cursor()
        final = (await self._ledger.head()).number - self._ledger.finality_depth
        return max(0, final - (cursor.number if cursor else self._start - 1))

    async def _read_all(self, blocks: Sequence[Block]) -> Sequence[Taken]:
        return await asyncio.gather(*map(self._read, blocks))

    async def _read(self, block: Block) -> Taken:
        facts = await self._ledger.facts(block)
        settled = {
            fact.event.order
            for fact in facts
            if isinstance(fact.event, Moved) and fact.event.status in SETTLED | {Status.EMERGENCY}
        }
        proofs = await self._ledger.captures(sorted(settled), block) if settled else []
        if None in proofs:
            log.warning("no node keeps the state of this block; no proof", block=block.number)
        return Taken(block, facts, [proof for proof in proofs if proof is not None])

    async def _take(self, taken: Taken, cursor: Block | None) -> None:
        delivered = 0
        async with self._store.transaction() as rows:
            # First: of two that follow, the slower one waits here and then writes nothing.
            await rows.chain.advance(taken.block, cursor)
            for fact in taken.facts:
                if await rows.chain.add_fact(fact):
                    delivered += await self._apply(rows, fact, taken.block)
            for proof in taken.proofs:
                await rows.chain.add_proof(proof)
        if delivered:
            self._wakes.outbox.ring()

    async def _apply(self, rows: ports.Transaction, fact: Fact, block: Block) -> int:
        """Let one fact have its effects; return how many deliveries it made."""
        try:
            order = await rows.orders.get(fact.event.order)
        except errors.NotFound:
            await self._pass_over(rows, fact)
            return 0
        event = fact.event
        await _note(rows, order, fact, self._clock)
        if isinstance(event, Proposed):
            await rows.outgoing.settle(purpose([order.id]), TxState.MINED)
            if order.status is Status.NONE:
                await rows.orders.move(order.id, Status.PROPOSED, block.number)
        elif isinstance(event, Moved):
            reason = await _reason(rows, order, event)
            await rows.orders.move(order.id, event.status, block.number, reason)
            return await self._deliver(rows, order, fact, block)
        return 0

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

    async def _deliver(
        self, rows: ports.Transaction, order: Order, fact: Fact, block: Block
    ) -> int:
        assert isinstance(fact.event, Moved)
        status = fact.event.status
        wanted = [name for name, statuses in self._routes.items() if status in statuses]
        if not wanted:
            return 0
        present = await rows.orders.get(order.id)
        payload = deliveries.payload(
            present,
            fact,
            block,
            facts=await rows.chain.facts(order.id),
            results=await rows.orders.results(order.id),
            domain=self._ledger.orders,
        )
        for name in wanted:
            await _enqueue(rows, deliveries.delivery(name, payload, self._clock.now()), fact)
        return len(wanted)

    async def _rewrite(self, cursor: Block, dispute: Dispute | None) -> None:
        """Go back, unless a node still has what was final, or the kind of network takes nothing back."""
        there = await self._ledger.block(cursor.number)
        if there is None or there.hash == cursor.hash:
            raise errors.BadAnswer("Two answers that do not fit.", found=cursor.number)
        await self._check(await self._ledger.rival(there), there)
        if not self._ledger.rewritable and not await self._is_told_otherwise(dispute):
            await self._check(Rival(cursor, "taken in before", there, "the node in use"), there)
        await self._rewind(cursor)

    async def _is_told_otherwise(self, dispute: Dispute | None) -> bool:
        """Say whether the chain leads to a block that an operator accepted, and ours does not.

        That block may lie above ours: a fork is seen first at the last block of a step.
        """
        if dispute is None or dispute.accepted is None:
            return False
        async with self._store.reading() as rows:
            ours = await rows.chain.block(dispute.number)
        there = await self._ledger.block(dispute.number)
        is_there = there is not None and there.hash == dispute.accepted
        return is_there and (ours is None or ours.hash != dispute.accepted)

    async def _check(self, rival: Rival | None, wanted: Block) -> None:
        await stop_for(rival, wanted.hash, self._store, self._clock)

    async def _rewind(self, cursor: Block) -> None:
        """Go back to the last block that the chain still has, and say the orders' states anew."""
        common = await self._common(cursor)
        log.warning("the chain was rewritten", from_block=cursor.number, to_block=common.number)
        async with self._store.transaction() as rows:
            for order in await rows.chain.rewind(common, cursor):
                await self._restate(rows, order, common)

    async def _restate(self, rows: ports.Transaction, order: ids.OrderId, common: Block) -> None:
        """Set an order's state to what its remaining facts say."""
        status, block = _standing(await rows.chain.facts(order))
        try:
            await rows.orders.reset(order, status, block)
            evidence = (await rows.orders.get(order)).content.evidence
        except errors.NotFound:
            log.info("an order of another builder", order=order.hex())
            return
        detail = f"to block {common.number}, now {status.title}"
        await rows.evidence.hop(Hop(evidence, "chain rewritten", self._clock.now(), detail=detail))
        if (
            status is Status.NONE
        ):  # its proposal is to be sent again, alone or at the head of a batch
            for size in range(1, BATCH + 1):
                await rows.outgoing.settle(purpose([order] * size), TxState.STORED)

    async def _common(self, cursor: Block) -> Block:
        number = cursor.number - 1
        while number >= self._start:
            async with self._store.reading() as rows:
                ours = await rows.chain.block(number)
            theirs = await self._ledger.block(number)
            if ours is not None and theirs is not None and ours.hash == theirs.hash:
                return ours
            number -= 1
        raise errors.ReorgTooDeep("No common block since the deployment.", found=cursor.number)


async def _enqueue(rows: ports.Transaction, item: Delivery, fact: Fact) -> None:
    """Add a delivery. Where its place was another fact's, before a rewrite, that fact's is kept."""
    if await rows.outbox.add(item):
        return
    held = await rows.outbox.of_order(item.key)
    if any((it.dedup, it.kind) == (item.dedup, item.kind) for it in held):
        return
    mark = f"{fact.place.id}~{fact.place.block_hash.hex()[:8]}"
    log.warning("a fact stands where another was delivered", place=mark, order=item.key)
    payload = {**item.payload, "eventId": mark}
    await rows.outbox.add(replace(item, dedup=f"{mark}:{item.destination}", payload=payload))


async def _note(rows: ports.Transaction, order: Order, fact: Fact, clock: ports.Clock) -> None:
    """Record the fact as a hop of the tracker."""
    event, detail = fact.event, f"block {fact.place.block}"
    match event:
        case Proposed():
            name = "proposed"
        case Approved():
            name = f"approved by {event.organisation}"
        case Refused():
            name = f"refused by {event.organisation}"
            detail += f", {_reason_title(event.reason)}"
        case CancellationVoted():
            name = f"cancellation wanted by {event.organisation}"
        case Moved():
            name = event.status.title.lower()
        case Skipped():
            name = "skipped"
    await rows.evidence.hop(Hop(order.content.evidence, name, clock.now(), detail=detail))


async def _reason(rows: ports.Transaction, order: Order, event: Moved) -> str:
    """Return why the order was refused, in words; empty for other moves."""
    if event.status not in {Status.REFUSED, Status.CONTESTED}:
        return ""
    for fact in reversed(await rows.chain.facts(order.id)):
        if isinstance(fact.event, Refused):
            return _reason_title(fact.event.reason)
    return ""


def _reason_title(number: int) -> str:
    try:
        return Reason(number).title
    except ValueError:
        return f"reason {number}"


def _standing(facts: Sequence[Fact]) -> tuple[Status, int | None]:
    """Return the status that facts in chain order lead to, and the block of its move."""
    status, block = Status.NONE, None
    for fact in facts:
        if isinstance(fact.event, Proposed) and status is Status.NONE:
            status, block = Status.PROPOSED, fact.place.block
        elif isinstance(fact.event, Moved):
            status, block = fact.event.status, fact.place.block
    return status, block
