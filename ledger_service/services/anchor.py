"""Anchor: sealed evidence becomes an order on chain. Stored before it is broadcast, every time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import dsse, errors, ids, order, statement
from ledger_service.domain.calls import Propose
from ledger_service.domain.facts import Version
from ledger_service.domain.jobplan import JobPlan, JobPlans
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Stage
from ledger_service.domain.records import Evidence, Hop, Order, Outgoing, TxState
from ledger_service.services import effect
from ledger_service.services.adopt import Adopt, NotTheDocument, NotYet
from ledger_service.services.announce import announcement
from ledger_service.services.send import BATCH, PROPOSE, Ended, Sender, Wanted, purpose
from ledger_service.services.wakes import Wakes

STEP = 10 * BATCH  #: orders by one commit, at most
#: A block is full of about so many orders' gas when only proposals are in it.
GAS_AN_ORDER = 60_000
ASIDE_FOR = timedelta(seconds=30)
NOT_YET_FOR = timedelta(seconds=1)

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Built:
    """An order that is ready to be stored and sent."""

    evidence: Evidence
    order: Order


class NotNow(Exception):
    """This evidence cannot be anchored, for a reason that will not pass."""


AWAY = (errors.NodeUnreachable, errors.WrongChain)
FINAL = (errors.CallReverted, errors.ConfigError, errors.InvalidEvidence, NotNow, NotTheDocument)


class Anchor:
    """Builds orders, stores them with their signed transaction, sends, and reconciles."""

    def __init__(
        self,
        *,
        store: ports.Store,
        ledger: ports.Ledger,
        sender: Sender,
        adopt: Adopt,
        plans: JobPlans,
        asset_types: Mapping[str, str],
        currency: str,
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._sender = sender
        self._adopt = adopt
        self._plans = plans
        self._asset_types = asset_types
        self._currency = currency
        self._clock = clock
        self._wakes = wakes
        self._aside: dict[ids.EvidenceId, datetime] = {}  # what made trouble, until when

    async def step(self) -> bool:
        """Anchor what waits, at most ten batches by one commit; say whether there was anything."""
        await self._sender.ready()
        waiting = await self._waiting()
        if not waiting:
            return False
        await self._check_not_behind()
        built = await self._build_all(waiting)
        outgoing = await self._commit(built)
        if outgoing:
            self._wakes.announced.ring()
            await self._sender.broadcast(outgoing)
        return any(item.id not in self._aside for item in waiting)

    async def reconcile(self, *, at_start: bool = False) -> bool:
        """Send again what the chain does not have; fail evidence whose proposal had no effect."""
        ended = await self._sender.look(at_start=at_start)
        await self._end(await effect.without_effect(self._ledger, ended))
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

    async def _waiting(self) -> list[Evidence]:
        """Return what to anchor now: what there is room for on the chain, oldest first.

        Alone while nothing is under way. Under load it is left to gather, up to a batch, while the
        pool holds more than a block of our proposals: they would only wait there.
        """
        async with self._store.reading() as rows:  # mostly there is nothing: then no more is asked
            if not await rows.evidence.to_anchor(1):
                return []
        room, under_way = STEP, await self._sender.under_way()
        if under_way:
            window = await self._ledger.block_gas() // GAS_AN_ORDER
            room = min(STEP, max(window, BATCH) - under_way)
            if room < BATCH:
                return []
        now = self._clock.now()
        self._aside = {name: until for name, until in self._aside.items() if until > now}
        async with self._store.reading() as rows:
            found = await rows.evidence.to_anchor(room + len(self._aside))
        return [item for item in found if item.id not in self._aside][:room]

    async def _check_not_behind(self) -> None:
        """Raise NodeUnreachable if the chain that is asked ends below what was taken in.

        A node that is still catching up knows no version and no order: nothing it says is final.
        """
        async with self._store.reading() as rows:
            cursor = await rows.chain.cursor()
        head = (await self._ledger.head()).number
        if cursor is not None and head < cursor.number:
            raise errors.NodeUnreachable(
                "The node is behind what was taken in.", found=head, expected=cursor.number
            )

    async def _build_all(self, waiting: Sequence[Evidence]) -> list[Built]:
        """Build and try each; what cannot be anchored is written down, and holds up no other.

        First all of them as first attempts, which takes one question each, in one request.
        """
        assets = list({item.asset for item in waiting})
        found = await asyncio.gather(
            *(self._ledger.current_version(ids.asset_id(asset)) for asset in assets)
        )
        versions = dict(zip(assets, found, strict=True))
        live = [item for item in waiting if versions[item.asset] is not None]
        drafts = await self._each(
            live, lambda item: self._build(item, versions[item.asset], attempt=1)
        )
        calls = [Propose((draft.order.content,)) for draft in drafts]
        reverts = await self._ledger.simulate_many(calls, self._sender.address)
        pairs = list(zip(drafts, reverts, strict=True))
        built = [draft for draft, reverted in pairs if reverted is None]
        built += await self._each(
            [item for item in waiting if versions[item.asset] is None]
            + [draft.evidence for draft, reverted in pairs if reverted is not None],
            lambda item: self._try_again(item, versions[item.asset]),
            answered=bool(built),
        )
        return built

    async def _each(
        self,
        waiting: Sequence[Evidence],
        build: Callable[[Evidence], Awaitable[Built | None]],
        *,
        answered: bool = False,
    ) -> list[Built]:
        """Build each for itself. What fails for a reason that may pass is put aside for a while.

        What nothing is built for is left out.

        Raise NodeUnreachable if that is why, and no node `answered` of any: then it is nobody's own;
        or if the node is behind.
        """
        results = await asyncio.gather(*map(build, waiting), return_exceptions=True)
        if any(isinstance(found, FINAL) for found in results):
            await self._check_not_behind()  # the node that said so may be another one by now
        built: list[Built] = []
        away: list[Exception] = []
        for evidence, found in zip(waiting, results, strict=True):
            if isinstance(found, Built):
                built.append(found)
            elif isinstance(found, FINAL):
                await self._fail(evidence.id, str(found))
            elif isinstance(found, NotYet):
                self._aside[evidence.id] = self._clock.now() + NOT_YET_FOR
            elif found is None:
                continue
            elif not isinstance(found, Exception):
                raise found
            elif isinstance(found, AWAY) and not (answered or built):
                away.append(found)
            else:
                log.error("put aside", evidence=evidence.id.hex(), why=repr(found)[:200])
                self._aside[evidence.id] = self._clock.now() + ASIDE_FOR
        if away and not built:
            raise away[0]
        return built

    async def _try_again(self, evidence: Evidence, version: Version | None) -> Built | None:
        """Build it as the attempt that the chain says is next, and try it. Raise CallReverted, NotNow.

        None if the last one is ours and was lost here: it is adopted. Raise NotYet, NotTheDocument.
        """
        last = await self._ledger.latest_order(ids.asset_id(evidence.asset), evidence.id)
        if last is not None and await self._adopt.take(evidence, last, self._written_again):
            return None
        built = await self._build(evidence, version, attempt=await self._attempt(last))
        await self._ledger.simulate(Propose((built.order.content,)), self._sender.address)
        return built

    async def _build(self, evidence: Evidence, version: Version | None, *, attempt: int) -> Built:
        plan = self._plan(evidence)
        if version is None:
            raise NotNow(f"{evidence.asset} has no live version on chain.")
        now = self._clock.now().replace(microsecond=0)
        deadline = now + timedelta(hours=plan.deadline_hours)
        document = self._document(evidence, plan, deadline, attempt)
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

    def _plan(self, evidence: Evidence) -> JobPlan:
        if evidence.asset not in self._asset_types:
            raise NotNow(f"{evidence.asset} is no longer in this service's settings.")
        return self._plans.find(self._asset_types[evidence.asset], evidence.failure_mode)

    def _document(
        self, evidence: Evidence, plan: JobPlan, deadline: datetime, attempt: int
    ) -> bytes:
        return order.document(
            evidence=evidence.id,
            statement=statement.read_kept(dsse.loads(evidence.envelope).payload),
            plan=plan,
            currency=self._currency,
            deadline=deadline,
            attempt=attempt,
        )

    def _written_again(self, evidence: Evidence, content: order.Content) -> bytes:
        """Return the document that would be made now for an order's deadline and attempt."""
        deadline = datetime.fromtimestamp(content.deadline, UTC)
        return self._document(evidence, self._plan(evidence), deadline, content.attempt)

    async def _attempt(self, last: ids.OrderId | None) -> int:
        """Return the number of the next attempt, by the last one on chain."""
        if last is None:
            return 1
        word = await self._ledger.word(last)
        if word.status not in MAY_TRY_AGAIN and not word.was_contested:
            raise NotNow(f"An order of this evidence is {word.status.title} on chain: {last.hex()}")
        return word.attempt + 1

    async def _commit(self, ready: Sequence[Built]) -> list[Outgoing]:
        """Store orders, stages, announcements and signed transactions by one commit, all or nothing.

        What another process was faster with is left out.
        """
        if not ready:
            return []
        try:
            async with self._store.transaction() as rows:
                # First, and guarded: of two processes that built an order each, one gets no further.
                wanted = [item.evidence.id for item in ready]
                ours = await rows.evidence.claim(wanted, Stage.ANCHORING, expected=Stage.SEALED)
                return await self._store_orders(
                    rows, [item for item in ready if item.evidence.id in ours]
                )
        except errors.Conflict as exc:
            log.warning("another process was faster", why=str(exc), orders=len(ready))
            if len(ready) == 1:
                return []
            return [it for item in ready for it in await self._commit([item])]

    async def _store_orders(self, rows: ports.Transaction, ours: Sequence[Built]) -> list[Outgoing]:
        if not ours:
            return []
        now = self._clock.now()
        await rows.evidence.hop(*(Hop(item.evidence.id, "anchoring", now) for item in ours))
        await rows.orders.add(*(item.order for item in ours))
        told = {it.order.id: announcement(it.order, it.evidence.envelope) for it in ours}
        await rows.orders.announce_all("order", told)
        batches = [ours[at : at + BATCH] for at in range(0, len(ours), BATCH)]
        return await self._sender.store(rows, [_wanted(batch) for batch in batches])

    async def _end(self, judged: Sequence[tuple[Ended, dict[ids.OrderId, str]]]) -> None:
        """Write down what became of transactions and what follows from it, by one commit.

        If one of them cannot be written down, each by its own: it holds up no other.
        """
        if not judged:
            return
        try:
            async with self._store.transaction() as rows:
                for ended, without in judged:
                    await self._end_one(rows, ended, without)
        except (errors.NotFound, errors.Conflict) as exc:
            if len(judged) == 1:
                log.exception("not written down", transaction=judged[0][0].outgoing.key, why=exc)
                return
            for one in judged:
                await self._end([one])

    async def _end_one(
        self, rows: ports.Transaction, ended: Ended, without: Mapping[ids.OrderId, str]
    ) -> None:
        if not await rows.outgoing.end(ended.outgoing, ended.state, ended.reason):
            return  # another process was faster, and may have used the purpose again
        for name, reason in without.items():
            evidence = (await rows.orders.get(name)).content.evidence
            await rows.orders.void(name)
            stage = Stage.SEALED if ended.again else Stage.FAILED
            await self._write_failure(rows, evidence, Stage.ANCHORING, reason, stage)
        if ended.state is TxState.FAILED and not ended.outgoing.key.startswith(PROPOSE):
            await self._sender.note_failure(rows, ended)

    async def _fail(self, evidence: ids.EvidenceId, reason: str) -> None:
        async with self._store.transaction() as rows:
            await self._write_failure(rows, evidence, Stage.SEALED, reason)

    async def _write_failure(
        self,
        rows: ports.Transaction,
        evidence: ids.EvidenceId,
        expected: Stage,
        reason: str,
        stage: Stage = Stage.FAILED,
    ) -> None:
        """Fail evidence that still is where it was believed to be; else another process was faster.

        Or `stage` SEALED: it is anchored again.
        """
        why = reason if stage is Stage.FAILED else ""
        try:
            await rows.evidence.move(evidence, stage, why, expected=expected)
        except errors.Conflict:
            return
        name = "failed" if stage is Stage.FAILED else "again"
        log.warning(name, evidence=evidence.hex(), why=reason)
        await rows.evidence.hop(Hop(evidence, name, self._clock.now(), detail=reason))


def _wanted(batch: Sequence[Built]) -> Wanted:
    names = tuple(item.order.id for item in batch)
    return Wanted(purpose(names), Propose(tuple(item.order.content for item in batch)), names)
