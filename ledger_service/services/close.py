"""Close: an order taken back by its builder, results handed in, the work's end told to the host."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from ledger_service import ports
from ledger_service.domain import errors, ids, result
from ledger_service.domain.calls import Call, Expire, Withdraw
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.records import Hop, Order, Result
from ledger_service.services.send import Sender
from ledger_service.services.wakes import Wakes

MAX_RESULT_BYTES = 64 * 1024
MAX_CLOSE_OUT_BYTES = 256 * 1024
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
        """Close open orders whose deadline has passed; say whether anything was sent."""
        now = int(self._clock.now().timestamp())
        async with self._store.reading() as rows:
            opened = await rows.orders.list(limit=1000, status=Status.PROPOSED)
        due = [item for item in opened if item.content.deadline <= now][:limit]
        sent = 0
        for item in due:
            try:
                await self._send(item, "expire", Expire(item.content))
                sent += 1
            except (errors.CallReverted, errors.Conflict):
                continue  # under way already, or settled meanwhile
        return bool(sent)

    async def hand_in(self, order: ids.OrderId, organisation: int, document: bytes) -> None:
        """Keep an organisation's result document. Its digest on chain decides what it is worth.

        Raise TooLarge, MalformedJson, UnknownField, NotFound.
        """
        if len(document) > MAX_RESULT_BYTES:
            raise errors.TooLarge(found=len(document), expected=f"at most {MAX_RESULT_BYTES}")
        opened = result.loads(document)
        if (opened.order, opened.organisation) != (order, organisation):
            raise errors.UnknownField("The result is of another order or organisation.")
        async with self._store.transaction() as rows:
            await rows.orders.get(order)
            await rows.orders.add_result(Result(order, organisation, document))

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
        await self._objects.put(f"close-outs/{digest.hex()}", _once(report))
        body = {
            "content": found.content.as_json(),
            "outcome": int(outcome),
            "closeOut": digest.hex(),
        }
        async with self._store.transaction() as rows:
            place = await rows.orders.announce("close-out", order, body)
            (told,) = await rows.orders.announcements(place - 1, 1)
            if told.body != body:
                raise errors.Conflict(
                    "Another end of this work was told before.", found=told.body["closeOut"]
                )
            name = outcome.name.replace("_", " ").lower()
            await rows.evidence.hop(
                Hop(found.content.evidence, "work ended", self._clock.now(), detail=name)
            )
        self._wakes.announced.ring()
        return digest

    async def _get(self, order: ids.OrderId) -> Order:
        async with self._store.reading() as rows:
            return await rows.orders.get(order)

    async def _send(self, order: Order, verb: str, call: Call) -> None:
        await self._sender.ready()
        await self._ledger.simulate(call, self._sender.address)
        async with self._store.transaction() as rows:
            key = f"{verb}:{order.id.hex()}"
            outgoing = await self._sender.store(rows, key, call, [order.id])
        await self._sender.broadcast(outgoing)


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
