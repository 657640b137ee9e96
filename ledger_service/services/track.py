"""Track: where is my evidence, which order does a dataset belong to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.facts import CapturedProof, Fact
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Stage, Status
from ledger_service.domain.records import Announcement, Delivery, Evidence, Hop, Order, Result


@dataclass(frozen=True, slots=True)
class Journey:
    """All that is known of a piece of evidence."""

    evidence: Evidence
    hops: Sequence[Hop]
    orders: Sequence[Order]

    @property
    def state(self) -> str:
        """Return the state people are told: of the newest order, else the stage."""
        spoken = self._spoken()
        return self.evidence.stage.value if spoken is None else spoken.status.title

    @property
    def reason(self) -> str:
        """Return why it is in that state, where there is a reason."""
        spoken = self._spoken()
        return self.evidence.reason if spoken is None else spoken.reason

    def _spoken(self) -> Order | None:
        """Return the newest order of the chain, if it and not the stage says where the evidence is.

        One that never got there says nothing. One that ended without a purchase is history as soon
        as there is another attempt.
        """
        known = [order for order in self.orders if order.status is not Status.NONE]
        if not known:
            return None
        ended = known[-1].status in MAY_TRY_AGAIN
        latest = known[-1] is self.orders[-1] and self.evidence.stage is Stage.ANCHORING
        return known[-1] if latest or not ended else None


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order with what the chain and the destinations said about it."""

    order: Order
    facts: Sequence[Fact]
    results: Sequence[Result]
    deliveries: Sequence[Delivery]
    proofs: Sequence[CapturedProof]


class Track:
    """Reads. Raise NotFound."""

    def __init__(self, store: ports.Store) -> None:
        self._store = store

    async def evidence(self, evidence: ids.EvidenceId) -> Journey:
        """Return the journey of a piece of evidence."""
        async with self._store.reading() as rows:
            return Journey(
                await rows.evidence.get(evidence),
                await rows.evidence.hops(evidence),
                await rows.orders.of_evidence(evidence),
            )

    async def latest(self, limit: int) -> Sequence[Journey]:
        """Return the newest evidence first, without its hops."""
        async with self._store.reading() as rows:
            found = await rows.evidence.list(limit=limit)
            orders = await rows.orders.of_evidence(*(item.id for item in found))
        own: dict[ids.EvidenceId, list[Order]] = {item.id: [] for item in found}
        for order in orders:
            own[order.content.evidence].append(order)
        return [Journey(item, (), own[item.id]) for item in found]

    async def order(self, order: ids.OrderId) -> OrderView:
        """Return an order and all around it."""
        async with self._store.reading() as rows:
            return OrderView(
                await rows.orders.get(order),
                await rows.chain.facts(order),
                await rows.orders.results(order),
                await rows.outbox.of_order(order.hex()),
                await rows.chain.proofs(order),
            )

    async def orders(
        self, *, limit: int, status: Status | None = None, asset: str | None = None
    ) -> Sequence[Order]:
        """Return orders, the newest first."""
        async with self._store.reading() as rows:
            return await rows.orders.list(limit=limit, status=status, asset=asset)

    async def dataset(self, root: ids.DatasetRoot) -> Sequence[Order]:
        """Return the orders that a dataset belongs to."""
        async with self._store.reading() as rows:
            return await rows.orders.of_dataset(root)

    async def feed(self, after: int, limit: int) -> Sequence[Announcement]:
        """Return announcements to the organisations."""
        async with self._store.reading() as rows:
            return await rows.orders.announcements(after, limit)
