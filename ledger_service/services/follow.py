"""Follow: final blocks in, one transaction each: facts, moves, deliveries, proofs, cursor."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.facts import (
    Block,
    CapturedProof,
    Dispute,
    Fact,
    Moved,
    Proposed,
    Rival,
)
from ledger_service.domain.lifecycle import SETTLED, Status
from ledger_service.domain.records import Hop, TxState
from ledger_service.services.apply import Apply
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
        self._apply = Apply(domain=ledger.orders, builder=builder, routes=routes, clock=clock)
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
        facts, blocks = await rows.chain.facts(order), dict[int, Block]()
        for number in dict.fromkeys(fact.place.block for fact in facts):
            block = await rows.chain.block(number)
            assert block is not None, "a fact is written with its block"
            blocks[number] = block
        await self._apply.facts(rows, facts, blocks)

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
        async with self._store.transaction() as rows:
            # First: of two that follow, the slower one waits here and then writes nothing.
            await rows.chain.advance(taken.block, cursor)
            fresh = await rows.chain.add_fact(*taken.facts)
            facts = [fact for fact in taken.facts if fact.place.id in fresh]
            delivered = await self._apply.facts(rows, facts, {taken.block.number: taken.block})
            await rows.chain.add_proof(*taken.proofs)
        if delivered:
            self._wakes.outbox.ring()

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
            keys = [purpose([order] * size) for size in range(1, BATCH + 1)]
            await rows.outgoing.settle(keys, TxState.STORED)

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


def _standing(facts: Sequence[Fact]) -> tuple[Status, int | None]:
    """Return the status that facts in chain order lead to, and the block of its move."""
    status, block = Status.NONE, None
    for fact in facts:
        if isinstance(fact.event, Proposed) and status is Status.NONE:
            status, block = Status.PROPOSED, fact.place.block
        elif isinstance(fact.event, Moved):
            status, block = fact.event.status, fact.place.block
    return status, block
