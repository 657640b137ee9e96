"""Anchor: sealed evidence becomes an order on chain. Stored before it is broadcast, every time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import dsse, errors, ids, order, statement
from ledger_service.domain.calls import Propose
from ledger_service.domain.facts import Skipped
from ledger_service.domain.jobplan import JobPlans
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Stage
from ledger_service.domain.records import Evidence, Hop, Order, Outgoing, TxState
from ledger_service.services.send import BATCH, PROPOSE, Ended, Sender, purpose
from ledger_service.services.wakes import Wakes

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """An order that is ready to be stored and sent."""

    evidence: Evidence
    order: Order


class NotNow(Exception):
    """This evidence cannot be anchored, for a reason that will not pass."""


class Anchor:
    """Builds orders, stores them with their signed transaction, sends, and reconciles."""

    def __init__(
        self,
        *,
        store: ports.Store,
        ledger: ports.Ledger,
        sender: Sender,
        plans: JobPlans,
        asset_types: Mapping[str, str],
        currency: str,
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._sender = sender
        self._plans = plans
        self._asset_types = asset_types
        self._currency = currency
        self._clock = clock
        self._wakes = wakes

    async def step(self) -> bool:
        """Anchor what waits, at most one batch; say whether there was anything."""
        await self._sender.ready()
        async with self._store.reading() as rows:
            waiting = await rows.evidence.to_anchor(BATCH)
        if not waiting:
            return False
        built = await asyncio.gather(*(self._try_build(evidence) for evidence in waiting))
        ready = [item for item in built if item is not None]
        if ready:
            outgoing = await self._commit(ready)
            if outgoing is not None:
                self._wakes.announced.ring()
                await self._sender.broadcast(outgoing)
        return True

    async def reconcile(self, *, at_start: bool = False) -> bool:
        """Send again what the chain does not have; fail evidence whose proposal had no effect."""
        for ended in await self._sender.look(at_start=at_start):
            await self._end(ended)
        return False

    async def again(self, evidence: ids.EvidenceId) -> None:
        """Make another attempt for evidence that failed, or whose order ended without a purchase.

        Raise NotFound, IllegalMove; Conflict if somebody else moved it at the same moment.
        """
        async with self._store.transaction() as rows:
            found = await rows.evidence.get(evidence)
            orders = await rows.orders.of_evidence(evidence)
            last = orders[-1].status if orders else None
            if found.stage is not Stage.FAILED and last not in MAY_TRY_AGAIN:
                raise errors.IllegalMove(
                    "No new attempt while one is open or was approved.",
                    found=last.title if last is not None else found.stage.value,
                    expected="Failed, Refused, Expired or Withdrawn",
                )
            await rows.evidence.move(evidence, Stage.SEALED, expected=found.stage)
            await rows.evidence.hop(Hop(evidence, "again", self._clock.now()))
        self._wakes.sealed.ring()

    async def _try_build(self, evidence: Evidence) -> Built | None:
        """Build and simulate; None if it failed for good, which is then written down."""
        try:
            built = await self._build(evidence)
            await self._ledger.simulate(Propose((built.order.content,)), self._sender.address)
        except (errors.CallReverted, errors.ConfigError, errors.InvalidEvidence, NotNow) as exc:
            await self._fail(evidence.id, str(exc))
            return None
        return built

    async def _build(self, evidence: Evidence) -> Built:
        claim = statement.loads(dsse.loads(evidence.envelope).payload)
        if evidence.asset not in self._asset_types:
            raise NotNow(f"{evidence.asset} is no longer in this service's settings.")
        plan = self._plans.find(self._asset_types[evidence.asset], evidence.failure_mode)
        asset = ids.asset_id(evidence.asset)
        version, attempt = await asyncio.gather(
            self._ledger.current_version(asset), self._attempt(asset, evidence.id)
        )
        if version is None:
            raise NotNow(f"{evidence.asset} has no live version on chain.")
        now = self._clock.now().replace(microsecond=0)
        deadline = now + timedelta(hours=plan.deadline_hours)
        document = order.document(
            evidence=evidence.id,
            statement=claim,
            plan=plan,
            currency=self._currency,
            deadline=deadline,
            attempt=attempt,
        )
        content = order.Content(
            evidence=evidence.id,
            dataset_root=evidence.dataset_root,
            order_digest=order.order_digest(document),
            asset_version=version.id,
            detector=evidence.detector,
            builder=self._sender.address,
            cost=plan.cost,
            deadline=int(deadline.timestamp()),
            attempt=attempt,
        )
        name = order.order_id(content, self._ledger.orders)
        return Built(evidence, Order(name, content, evidence.asset, document, self._clock.now()))

    async def _attempt(self, asset: ids.AssetId, evidence: ids.EvidenceId) -> int:
        """Return the number of the next attempt, by the chain."""
        last = await self._ledger.latest_order(asset, evidence)
        if last is None:
            return 1
        word = await self._ledger.word(last)
        if word.status not in MAY_TRY_AGAIN and not word.was_contested:
            raise NotNow(f"An order of this evidence is {word.status.title} on chain: {last.hex()}")
        return word.attempt + 1

    async def _commit(self, ready: Sequence[Built]) -> Outgoing | None:
        """Store orders, stages, announcements and the signed transaction, all or nothing.

        None if another process was faster.
        """
        call = Propose(tuple(item.order.content for item in ready))
        names = [item.order.id for item in ready]
        key = purpose(names)
        try:
            async with self._store.transaction() as rows:
                for item in ready:
                    await self._store_order(rows, item)
                return await self._sender.store(rows, key, call, names)
        except errors.Conflict as exc:
            log.warning("given up, another process was faster", why=str(exc))
            return None

    async def _store_order(self, rows: ports.Transaction, item: Built) -> None:
        # First, and guarded: of two processes that built an order each, one gets no further.
        await rows.evidence.move(item.evidence.id, Stage.ANCHORING, expected=Stage.SEALED)
        await rows.evidence.hop(Hop(item.evidence.id, "anchoring", self._clock.now()))
        await rows.orders.add(item.order)
        await rows.orders.announce(
            "order",
            item.order.id,
            {
                "content": item.order.content.as_json(),
                "document": base64.b64encode(item.order.document).decode(),
                "envelope": base64.b64encode(item.evidence.envelope).decode(),
                "asset": item.order.asset,
            },
        )

    async def _end(self, ended: Ended) -> None:
        """Write down what became of a transaction and what follows from it, all or nothing."""
        without = await self._without_effect(ended)
        if without is None:
            return
        async with self._store.transaction() as rows:
            await rows.outgoing.settle(ended.outgoing.key, ended.state, ended.reason)
            for order, reason in without.items():
                evidence = (await rows.orders.get(order)).content.evidence
                await rows.orders.void(order)
                await self._write_failure(rows, evidence, Stage.ANCHORING, reason)
            if ended.state is TxState.FAILED and not ended.outgoing.key.startswith(PROPOSE):
                await self._sender.note_failure(rows, ended)

    async def _without_effect(self, ended: Ended) -> dict[ids.OrderId, str] | None:
        """Return the orders that a transaction did not propose and nobody else did, with the reason.

        None if the chain cannot say it now: then it is asked again.
        """
        if not ended.outgoing.key.startswith(PROPOSE):
            return {}
        suspects = await self._suspects(ended)
        if not suspects:
            return suspects
        words = await asyncio.gather(*(self._ledger.word(order) for order in suspects))
        pairs = zip(suspects.items(), words, strict=True)
        return {order: reason for (order, reason), word in pairs if not word.proposed_at}

    async def _suspects(self, ended: Ended) -> dict[ids.OrderId, str] | None:
        orders = ended.outgoing.orders
        if ended.state is TxState.FAILED:
            return dict.fromkeys(orders, ended.reason)
        return await self._skipped(ended) if len(orders) > 1 else {}

    async def _skipped(self, ended: Ended) -> dict[ids.OrderId, str] | None:
        """Return what a batch left out, by the events of this very transaction.

        Agents' batches skip too, an order that is not proposed yet among others: that is no failure.
        """
        assert ended.receipt is not None, "it was mined"
        block = await self._ledger.block(ended.receipt.block)
        if block is None or block.hash != ended.receipt.block_hash:
            return None
        return {
            fact.event.order: f"Skipped by the contract: reason {fact.event.why}, found {fact.event.found}."
            for fact in await self._ledger.facts(block)
            if isinstance(fact.event, Skipped) and fact.place.transaction == ended.receipt.hash
        }

    async def _fail(self, evidence: ids.EvidenceId, reason: str) -> None:
        async with self._store.transaction() as rows:
            await self._write_failure(rows, evidence, Stage.SEALED, reason)

    async def _write_failure(
        self, rows: ports.Transaction, evidence: ids.EvidenceId, expected: Stage, reason: str
    ) -> None:
        """Fail evidence that still is where it was believed to be; else another process was faster."""
        try:
            await rows.evidence.move(evidence, Stage.FAILED, reason, expected=expected)
        except errors.Conflict:
            return
        log.warning("failed", evidence=evidence.hex(), why=reason)
        await rows.evidence.hop(Hop(evidence, "failed", self._clock.now(), detail=reason))
