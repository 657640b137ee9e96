"""Close: an order taken back by its builder, results handed in, the work's end told to the host."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence

from ledger_service import ports
from ledger_service.domain import errors, ids, result
from ledger_service.domain.calls import Call, Expire, Withdraw
from ledger_service.domain.facts import Approved
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.records import Hop, Order, Result, TxState
from ledger_service.services.send import Sender, Wanted
from ledger_service.services.wakes import Wakes

MAX_RESULT_BYTES = 2048  #: canonical, one has 1,400 at most; most have 220
MOST_RESULTS = 8  #: of an organisation, for one order
MAX_CLOSE_OUT_BYTES = 256 * 1024
PAGE = 200  #: open orders read at once
Life = dict[ids.VersionId | ids.DetectorId, bool]
COMPLETABLE = frozenset({Status.VALIDATED, Status.RATIFIED, Status.CONTESTED})


class Close:
    """Ends orders, and keeps what belongs to their end."""

    def __init__(
        self,
        *,
        store: ports.Store,
        objects: ports.ObjectStore,
        ledger: ports.Ledger,
        sender: Sender,
        clock: ports.Clock,
        wakes: Wakes,
    ) -> None:
        self._store = store
        self._objects = objects
        self._ledger = ledger
        self._sender = sender
        self._clock = clock
        self._wakes = wakes

    async def withdraw(self, order: ids.OrderId) -> None:
        """Take an open order back. Raise NotFound, CallReverted (with the state), Conflict."""
        found = await self._get(order)
        await self._send(found, "withdraw", Withdraw(found.content))

    async def expire_overdue(self, limit: int = 20) -> bool:
        """Close open orders that can no longer be approved; say whether anything was sent.

        Their deadline has passed, or their asset version or detector is no longer live.
        """
        live: Life = {}
        sent = 0
        async for item in self._opened():
            if await self._is_over(item, live):
                sent += await self._try_to_expire(item)
            if sent == limit:
                break
        return bool(sent)

    async def hand_in(self, *items: Result) -> Sequence[errors.LedgerError | None]:
        """Keep organisations' result documents. Their digests on chain decide what they are worth.

        An agent that lost its folder may hand in another one than that whose digest comes on chain,
        so none takes another's place. Each is judged by itself: return, in their order, why one is
        not kept (TooLarge, MalformedJson, UnknownField, NotFound; Conflict for one too many that the
        chain does not name), None for what is kept. They become durable together.
        """
        found = [_why_no_result(item) for item in items]
        good = [item for item, why in zip(items, found, strict=True) if why is None]
        if not good:
            return found
        async with self._store.transaction() as rows:
            judged = iter(await _keep(rows, good))
        return [why if why is not None else next(judged) for why in found]

    async def complete(self, order: ids.OrderId, outcome: Outcome, report: bytes) -> bytes:
        """Store the close-out report and tell the host's agent, who signs; return its SHA-256.

        Raise NotFound, IllegalMove, TooLarge; Conflict if another end was told before.
        """
        if len(report) > MAX_CLOSE_OUT_BYTES:
            raise errors.TooLarge(found=len(report), expected=f"at most {MAX_CLOSE_OUT_BYTES}")
        found = await self._get(order)
        if found.status not in COMPLETABLE:
            raise errors.IllegalMove(found=found.status.title, expected="Completed")
        digest = hashlib.sha256(report).digest()
        body = {
            "content": found.content.as_json(),
            "outcome": int(outcome),
            "closeOut": digest.hex(),
        }
        async with self._store.reading() as rows:
            await _check_end(rows, order, body)  # before anything is kept of it
        await self._objects.put(f"close-outs/{digest.hex()}", _once(report))
        async with self._store.transaction() as rows:
            await rows.orders.announce("close-out", order, body)
            await _check_end(rows, order, body)
            name = outcome.name.replace("_", " ").lower()
            await rows.evidence.hop(
                Hop(found.content.evidence, "work ended", self._clock.now(), detail=name)
            )
        self._wakes.announced.ring()
        return digest

    async def _get(self, order: ids.OrderId) -> Order:
        async with self._store.reading() as rows:
            return await rows.orders.get(order)

    async def _opened(self) -> AsyncIterator[Order]:
        """Go through all open orders, oldest first, however many there are."""
        last: ids.OrderId | None = None
        while True:
            async with self._store.reading() as rows:
                page = await rows.orders.opened(PAGE, last)
            for item in page:
                yield item
            if len(page) < PAGE:
                return
            last = page[-1].id

    async def _is_over(self, order: Order, live: Life) -> bool:
        content = order.content
        if content.deadline <= int(self._clock.now().timestamp()):
            return True
        if content.asset_version not in live:
            version = await self._ledger.version(content.asset_version)
            live[content.asset_version] = version is not None and version.live
        if content.detector not in live:
            live[content.detector] = await self._ledger.detector_live(content.detector)
        return not (live[content.asset_version] and live[content.detector])

    async def _try_to_expire(self, order: Order) -> bool:
        async with self._store.reading() as rows:
            known = await rows.outgoing.get(f"expire:{order.id.hex()}")
        if known is not None and known.state is not TxState.FAILED:
            return False  # under way already
        try:
            await self._send(order, "expire", Expire(order.content))
        except (errors.CallReverted, errors.Conflict):
            return False  # settled meanwhile, or another process was faster
        return True

    async def _send(self, order: Order, verb: str, call: Call) -> None:
        await self._sender.ready()
        await self._ledger.simulate(call, self._sender.address)
        async with self._store.transaction() as rows:
            key = f"{verb}:{order.id.hex()}"
            outgoing = await self._sender.store(rows, [Wanted(key, call, (order.id,))])
        await self._sender.broadcast(outgoing)


def _why_no_result(item: Result) -> errors.LedgerError | None:
    """Return what a document itself has against it."""
    if len(item.document) > MAX_RESULT_BYTES:
        return errors.TooLarge(found=len(item.document), expected=f"at most {MAX_RESULT_BYTES}")
    try:
        opened = result.loads(item.document)
    except errors.LedgerError as exc:
        return exc
    if (opened.order, opened.organisation) != (item.order, item.organisation):
        return errors.UnknownField("The result is of another order or organisation.")
    return None


async def _keep(
    rows: ports.Transaction, items: Sequence[Result]
) -> Sequence[errors.LedgerError | None]:
    """Keep what there is room for; return why not, in their order."""
    orders = {item.order for item in items}
    there = await rows.orders.evidence_of(sorted(orders))
    kept: dict[tuple[ids.OrderId, int], list[Result]] = {}
    for item in await rows.orders.results(*sorted(orders)):
        kept.setdefault((item.order, item.organisation), []).append(item)
    found: list[errors.LedgerError | None] = []
    fresh: list[Result] = []
    for item in items:
        own = kept.setdefault((item.order, item.organisation), [])
        why: errors.LedgerError | None = None
        if item.order not in there:
            why = errors.NotFound("No such order.", found=item.order.hex())
        elif item not in own:
            if len(own) < MOST_RESULTS or await _is_named(rows, item):
                own.append(item)
                fresh.append(item)
            else:
                why = errors.Conflict("Too many results of one order.", found=len(own))
        found.append(why)
    await rows.orders.add_result(*fresh)
    return found


async def _is_named(rows: ports.Transaction, item: Result) -> bool:
    """Say whether the chain names a document: that one there is always room for."""
    digest = result.result_digest(item.document)
    events = (fact.event for fact in await rows.chain.facts(item.order))
    return any(isinstance(event, Approved) and event.result == digest for event in events)


async def _check_end(
    rows: ports.Transaction, order: ids.OrderId, body: Mapping[str, object]
) -> None:
    """Raise Conflict if another end of the work was told."""
    told = await rows.orders.told("close-out", order)
    if told is not None and told.body != body:
        raise errors.Conflict(
            "Another end of this work was told before.", found=told.body["closeOut"]
        )


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
