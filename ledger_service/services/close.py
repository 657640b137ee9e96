"""Close: an order taken back by its builder, results handed in, the work's end told to the host."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping

from ledger_service import ports
from ledger_service.domain import errors, ids, result
from ledger_service.domain.calls import Call, Expire, Withdraw
from ledger_service.domain.facts import Approved
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.records import Hop, Order, Result, TxState
from ledger_service.services.send import Sender, Wanted
from ledger_service.services.wakes import Wakes

MAX_RESULT_BYTES = 64 * 1024
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

    async def hand_in(self, order: ids.OrderId, organisation: int, document: bytes) -> None:
        """Keep an organisation's result document. Its digest on chain decides what it is worth.

        An agent that lost its folder may hand in another one than that whose digest comes on chain,
        so none takes another's place. Raise TooLarge, MalformedJson, UnknownField, NotFound;
        Conflict for one too many that the chain does not name.
        """
        if len(document) > MAX_RESULT_BYTES:
            raise errors.TooLarge(found=len(document), expected=f"at most {MAX_RESULT_BYTES}")
        opened = result.loads(document)
        if (opened.order, opened.organisation) != (order, organisation):
            raise errors.UnknownField("The result is of another order or organisation.")
        item = Result(order, organisation, document)
        async with self._store.transaction() as rows:
            await rows.orders.get(order)
            await _check_room(rows, item)
            await rows.orders.add_result(item)

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


async def _check_room(rows: ports.Transaction, item: Result) -> None:
    """Raise Conflict if an organisation has all documents that it may have, and this is a new one."""
    kept = [
        it for it in await rows.orders.results(item.order) if it.organisation == item.organisation
    ]
    if len(kept) < MOST_RESULTS or item in kept:
        return
    digest = result.result_digest(item.document)
    events = (fact.event for fact in await rows.chain.facts(item.order))
    if not any(isinstance(event, Approved) and event.result == digest for event in events):
        raise errors.Conflict("Too many results of one order.", found=len(kept))


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
