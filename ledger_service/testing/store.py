"""A database in memory: dictionaries, copied at the begin of a transaction, swapped at its commit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from ledger_service import ports
from ledger_service.domain import errors, ids, lifecycle
from ledger_service.domain.facts import Block, CapturedProof, Fact, Proposed
from ledger_service.domain.lifecycle import SETTLED, Stage, Status
from ledger_service.domain.records import Announcement, Evidence, Hop, Move, Order, Result, Token
from ledger_service.domain.result import result_digest
from ledger_service.ports.outbox import CircuitRows, OutboxRows
from ledger_service.testing.disputes import Disputes, MemoryDisputes
from ledger_service.testing.outbox import MemoryCircuits, MemoryOutbox, OutboxState
from ledger_service.testing.outgoing import MemoryOutgoing, OutgoingState


@dataclass
class State:
    """All rows. Values are frozen, so a shallow copy of each dictionary is a snapshot."""

    evidence: dict[ids.EvidenceId, Evidence] = field(default_factory=dict)
    hops: dict[tuple[ids.EvidenceId, str], Hop] = field(default_factory=dict)
    orders: dict[ids.OrderId, Order] = field(default_factory=dict)
    void: set[ids.OrderId] = field(default_factory=set)
    results: dict[tuple[ids.OrderId, int, ids.ResultDigest], Result] = field(default_factory=dict)
    feed: dict[tuple[str, ids.OrderId], Announcement] = field(default_factory=dict)
    outgoing: OutgoingState = field(default_factory=OutgoingState)
    blocks: dict[int, Block] = field(default_factory=dict)
    cursor: list[Block] = field(default_factory=list)
    facts: dict[str, Fact] = field(default_factory=dict)
    proofs: dict[tuple[ids.OrderId, int], CapturedProof] = field(default_factory=dict)
    tokens: dict[str, Token] = field(default_factory=dict)
    outbox: OutboxState = field(default_factory=OutboxState)
    disputes: Disputes = field(default_factory=dict)

    def copy(self) -> State:
        """Return a snapshot."""
        own = {name: value.copy() for name, value in vars(self).items()}
        return State(**own)


class MemoryStore:
    """The Store port. `fail_at`: the n-th commit from now raises StorageError (0: the next one)."""

    def __init__(self) -> None:
        self._state = State()
        self._lock = asyncio.Lock()
        self.commits = 0
        self.fail_at: int | None = None

    def transaction(self) -> AbstractAsyncContextManager[ports.Transaction]:
        """Begin; writers take turns."""
        return self._write()

    def reading(self) -> AbstractAsyncContextManager[ports.Transaction]:
        """Begin on a snapshot."""
        return self._read()

    @asynccontextmanager
    async def _write(self) -> AsyncIterator[ports.Transaction]:
        async with self._lock:
            state = self._state.copy()
            yield MemoryTransaction(state)
            self._check_fault()
            self.commits += 1
            self._state = state

    @asynccontextmanager
    async def _read(self) -> AsyncIterator[ports.Transaction]:
        yield MemoryTransaction(self._state.copy())

    def _check_fault(self) -> None:
        if self.fail_at is None:
            return
        self.fail_at -= 1
        if self.fail_at < 0:
            self.fail_at = None
            raise errors.StorageError("Ordered by the test.")


class MemoryTransaction:
    """The rows of one transaction."""

    def __init__(self, state: State) -> None:
        self.evidence: ports.EvidenceRows = MemoryEvidence(state)
        self.orders: ports.OrderRows = MemoryOrders(state)
        self.outgoing: ports.OutgoingRows = MemoryOutgoing(state.outgoing)
        self.chain: ports.ChainRows = MemoryChain(state)
        self.outbox: OutboxRows = MemoryOutbox(state.outbox)
        self.circuits: CircuitRows = MemoryCircuits(state.outbox.circuits)
        self.disputes: ports.DisputeRows = MemoryDisputes(state.disputes)
        self.tokens: ports.TokenRows = MemoryTokens(state)


class MemoryEvidence:
    """The EvidenceRows port."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(self, item: Evidence) -> None:
        """Insert."""
        await self.check(item)
        self._state.evidence[item.id] = item

    async def check(self, item: Evidence) -> None:
        """Raise what `add` would raise."""
        for other in self._state.evidence.values():
            if other.id == item.id:
                raise errors.Conflict("This evidence is already sealed.", found=item.id.hex())
            if (other.device, other.sequence) == (item.device, item.sequence):
                raise errors.SequenceFork(found=other.id.hex(), sequence=item.sequence)
            if other.dataset_root == item.dataset_root:
                raise errors.DatasetReused(found=other.id.hex())

    async def get(self, wanted: ids.EvidenceId) -> Evidence:
        """Return it."""
        if wanted not in self._state.evidence:
            raise errors.NotFound("No such evidence.", found=wanted.hex())
        return self._state.evidence[wanted]

    async def latest_of(self, device: ids.DeviceId) -> Evidence | None:
        """Return the device's last statement."""
        own = [item for item in self._state.evidence.values() if item.device == device]
        return max(own, key=lambda item: item.sequence, default=None)

    async def to_anchor(self, limit: int) -> Sequence[Evidence]:
        """Return sealed evidence, oldest first."""
        return [e for e in self._state.evidence.values() if e.stage is Stage.SEALED][:limit]

    async def waiting(self) -> int:
        """Count the backlog."""
        settled = {o.content.evidence for o in self._state.orders.values() if o.status in SETTLED}
        return sum(
            item.stage is not Stage.FAILED and item.id not in settled
            for item in self._state.evidence.values()
        )

    async def move(
        self, wanted: ids.EvidenceId, stage: Stage, reason: str = "", *, expected: Stage
    ) -> None:
        """Set the stage."""
        item = self._state.evidence.get(wanted)
        if item is None or item.stage is not expected:
            raise errors.Conflict("The evidence is elsewhere by now.", expected=expected.value)
        self._state.evidence[wanted] = replace(item, stage=stage, reason=reason)

    async def list(self, *, limit: int, before: datetime | None = None) -> Sequence[Evidence]:
        """Return the newest first."""
        newest = reversed(self._state.evidence.values())
        return [e for e in newest if before is None or e.received_at < before][:limit]

    async def claim(
        self, wanted: Sequence[ids.EvidenceId], stage: Stage, *, expected: Stage
    ) -> frozenset[ids.EvidenceId]:
        """Set the stage of those that are where they are expected."""
        found = [self._state.evidence[name] for name in wanted if name in self._state.evidence]
        moved = [item.id for item in found if item.stage is expected]
        for name in moved:
            await self.move(name, stage, expected=expected)
        return frozenset(moved)

    async def hop(self, *items: Hop) -> None:
        """Insert or add up."""
        for item in items:
            key = (item.evidence, item.name)
            known = self._state.hops.get(key)
            tries = item.tries + (known.tries if known else 0)
            self._state.hops[key] = replace(item, tries=tries)

    async def hops(self, wanted: ids.EvidenceId) -> Sequence[Hop]:
        """Return the hops in order of first occurrence."""
        return [item for item in self._state.hops.values() if item.evidence == wanted]


class MemoryOrders:
    """The OrderRows port."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(self, *items: Order) -> None:
        """Insert. Raise Conflict if another order has the attempt."""
        for item in items:
            for other in await self.of_evidence(item.content.evidence):
                same = other.content.attempt == item.content.attempt
                if same and other.id != item.id and other.id not in self._state.void:
                    raise errors.Conflict("Another order makes this attempt.")
            self._state.orders.setdefault(item.id, item)

    async def evidence_of(
        self, orders: Sequence[ids.OrderId]
    ) -> Mapping[ids.OrderId, ids.EvidenceId]:
        """Return the evidence of each order that is there."""
        there = await self.some(*orders)
        return {name: order.content.evidence for name, order in there.items()}

    async def void(self, wanted: ids.OrderId) -> None:
        """Give its attempt free."""
        self._state.void.add(wanted)

    async def get(self, wanted: ids.OrderId) -> Order:
        """Return it."""
        if wanted not in self._state.orders:
            raise errors.NotFound("No such order.", found=wanted.hex())
        return self._state.orders[wanted]

    async def some(self, *orders: ids.OrderId) -> Mapping[ids.OrderId, Order]:
        """Return those that are there."""
        return {name: self._state.orders[name] for name in orders if name in self._state.orders}

    async def of_evidence(self, *evidence: ids.EvidenceId) -> Sequence[Order]:
        """Return all attempts."""
        return [o for o in self._state.orders.values() if o.content.evidence in evidence]

    async def opened(self, limit: int, after: ids.OrderId | None = None) -> Sequence[Order]:
        """Return what is Proposed behind an order."""
        orders = list(self._state.orders.values())
        start = 0 if after is None else [order.id for order in orders].index(after) + 1
        return [order for order in orders[start:] if order.status is Status.PROPOSED][:limit]

    async def of_dataset(self, root: ids.DatasetRoot) -> Sequence[Order]:
        """Return all orders of a dataset."""
        return [o for o in self._state.orders.values() if o.content.dataset_root == root]

    async def beginning(self, digits: str) -> Sequence[Order]:
        """Return two of those whose id begins so; fewer if there are."""
        return [o for o in self._state.orders.values() if o.id.hex().startswith(digits)][:2]

    async def list(
        self, *, limit: int, status: Status | None = None, asset: str | None = None
    ) -> Sequence[Order]:
        """Return the newest first."""
        return [
            order
            for order in reversed(self._state.orders.values())
            if status in {None, order.status} and asset in {None, order.asset}
        ][:limit]

    async def move(self, *moves: Move) -> None:
        """Set the statuses by the table."""
        for to in moves:
            order = await self.get(to.order)
            lifecycle.check_move(order.status, to.status)
            moved = replace(order, status=to.status, block=to.block, reason=to.reason)
            self._state.orders[to.order] = moved

    async def reset(self, wanted: ids.OrderId, status: Status, block: int | None) -> None:
        """Set the status anew."""
        if wanted in self._state.orders:
            order = self._state.orders[wanted]
            self._state.orders[wanted] = replace(order, status=status, block=block, reason="")

    async def add_result(self, *items: Result) -> None:
        """Keep them beside the others."""
        for item in items:
            key = (item.order, item.organisation, result_digest(item.document))
            self._state.results[key] = item

    async def results(self, *orders: ids.OrderId) -> Sequence[Result]:
        """Return the result documents, by order, organisation and digest."""
        own = (key for key in self._state.results if key[0] in orders)
        return [self._state.results[key] for key in sorted(own)]

    async def announce(self, kind: str, order: ids.OrderId, body: dict[str, Any]) -> int:
        """Append once."""
        feed = self._state.feed
        last = next(reversed(feed.values())).sequence if feed else 0
        item = Announcement(last + 1, kind, order, body)
        return feed.setdefault((kind, order), item).sequence

    async def announce_all(self, kind: str, bodies: Mapping[ids.OrderId, dict[str, Any]]) -> None:
        """Append each once."""
        for order, body in bodies.items():
            await self.announce(kind, order, body)

    async def told(self, kind: str, order: ids.OrderId) -> Announcement | None:
        """Return one announcement."""
        return self._state.feed.get((kind, order))

    async def announcements(self, after: int, limit: int) -> Sequence[Announcement]:
        """Return the feed behind a sequence."""
        return [item for item in self._state.feed.values() if item.sequence > after][:limit]


class MemoryChain:
    """The ChainRows port."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def cursor(self) -> Block | None:
        """Return the last block taken in."""
        return self._state.cursor[-1] if self._state.cursor else None

    async def advance(self, to: Block, expected: Block | None) -> None:
        """Move the cursor."""
        await self._expect(expected, to)
        self._state.blocks[to.number] = to
        self._state.cursor[:] = [to]

    async def _expect(self, expected: Block | None, wanted: Block) -> None:
        if await self.cursor() != expected:
            raise errors.CursorMoved(expected=expected and expected.number, wanted=wanted.number)

    async def hold(self) -> None:
        """Do nothing: writers take turns anyway."""

    async def strays(self, builder: ids.Address, of: ids.EvidenceId | None) -> Sequence[Proposed]:
        """Return proposals of a builder without a row of the order."""
        facts = sorted(self._state.facts.values(), key=lambda item: item.place.id)
        return [
            event
            for event in (item.event for item in facts)
            if isinstance(event, Proposed)
            and event.order not in self._state.orders
            and event.content.builder == builder
            and of in {None, event.content.evidence}
        ]

    async def block(self, number: int) -> Block | None:
        """Return a block taken in."""
        return self._state.blocks.get(number)

    async def rewind(self, to: Block, expected: Block) -> Sequence[ids.OrderId]:
        """Drop all above."""
        state = self._state
        await self._expect(expected, to)
        gone = {key: item for key, item in state.facts.items() if item.place.block > to.number}
        for key in gone:
            del state.facts[key]
        for place in [place for place in state.proofs if place[1] > to.number]:
            del state.proofs[place]
        for number in [number for number in state.blocks if number > to.number]:
            del state.blocks[number]
        state.outbox.drop_above(to.number)
        state.cursor[:] = [to]
        return list({item.event.order: None for item in gone.values()})

    async def add_fact(self, *items: Fact) -> frozenset[str]:
        """Insert those that are not there."""
        fresh = {it.place.id: it for it in items if it.place.id not in self._state.facts}
        self._state.facts |= fresh
        return frozenset(fresh)

    async def facts(self, *orders: ids.OrderId) -> Sequence[Fact]:
        """Return the facts of orders, in chain order."""
        own = [item for item in self._state.facts.values() if item.event.order in orders]
        return sorted(own, key=lambda item: item.place.id)

    async def add_proof(self, *items: CapturedProof) -> None:
        """Keep them."""
        for item in items:
            self._state.proofs.setdefault((item.order, item.block), item)

    async def proofs(self, order: ids.OrderId) -> Sequence[CapturedProof]:
        """Return an order's proofs."""
        own = [item for item in self._state.proofs.values() if item.order == order]
        return sorted(own, key=lambda item: item.block)


class MemoryTokens:
    """The TokenRows port."""

    def __init__(self, state: State) -> None:
        self._state = state

    async def add(self, item: Token) -> None:
        """Insert. Raise Conflict for an id or a secret that is there."""
        if item.id in self._state.tokens or await self.by_digest(item.digest):
            raise errors.Conflict("There is such a token.", found=item.id)
        self._state.tokens[item.id] = item

    async def by_digest(self, digest: bytes) -> Token | None:
        """Return the token of a secret."""
        return next((t for t in self._state.tokens.values() if t.digest == digest), None)

    async def revoke(self, wanted: str, at: datetime) -> bool:
        """End it."""
        item = self._state.tokens.get(wanted)
        if item is None or item.revoked_at is not None:
            return False
        self._state.tokens[wanted] = replace(item, revoked_at=at)
        return True

    async def list(self) -> Sequence[Token]:
        """Return all, newest first."""
        by_name = sorted(self._state.tokens.values(), key=lambda t: t.id)
        return sorted(by_name, key=lambda t: t.created_at, reverse=True)
