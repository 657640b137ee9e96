"""Send: nonce, signature and storage in one transaction, then broadcast; the same bytes for ever."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.calls import Call, Receipt, Sent
from ledger_service.domain.records import Hop, Outgoing, TxState

BATCH = 20  #: orders in one proposal, at most
PROPOSE = "propose:"
RESEND_AFTER = timedelta(seconds=3)
LOST_AFTER = timedelta(seconds=30)

log = structlog.get_logger()


def purpose(orders: Sequence[ids.OrderId]) -> str:
    """Return the key of the transaction that proposes these orders, the first one named."""
    more = f"+{len(orders) - 1}" if len(orders) > 1 else ""
    return f"{PROPOSE}{orders[0].hex()}{more}"


@dataclass(frozen=True, slots=True)
class Ended:
    """What the chain made of a stored transaction, found and not yet written down."""

    outgoing: Outgoing
    state: TxState
    reason: str = ""
    receipt: Receipt | None = None


class Sender:
    """One key's transactions. Any number of processes may use one: the nonce is locked in the rows."""

    def __init__(
        self, store: ports.Store, ledger: ports.Ledger, signer: ports.Signer, clock: ports.Clock
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._mined: int | None = None
        self._missing: dict[str, datetime] = {}  # since when a nonce is used and no receipt found

    @property
    def address(self) -> ids.Address:
        """Return the key's address."""
        return self._signer.address

    async def ready(self) -> None:
        """Ask once where the chain's nonce stands, before the first transaction is taken."""
        if self._mined is None:
            self._mined = await self._ledger.nonce(self.address)

    async def store(
        self, rows: ports.Transaction, key: str, call: Call, orders: Sequence[ids.OrderId]
    ) -> Outgoing:
        """Take the nonce, sign, and store the bytes, in the caller's transaction. Raise Conflict."""
        assert self._mined is not None, "ready() comes first"
        nonce = await rows.outgoing.next_nonce(self.address, self._mined)
        signed = self._signer.sign(self._ledger.prepare(call), nonce)
        outgoing = Outgoing(
            key=key,
            signer=self.address,
            nonce=nonce,
            hash=signed.hash,
            raw=signed.raw,
            created_at=self._clock.now(),
            orders=tuple(orders),
        )
        await rows.outgoing.add(outgoing)
        return outgoing

    async def broadcast(self, outgoing: Outgoing) -> Sent:
        """Give stored bytes to every node. A failure is logged and told: they are sent again later."""
        outcome = await self._ledger.send(outgoing.raw)
        if outcome not in {Sent.ACCEPTED, Sent.KNOWN}:
            log.warning("not taken", transaction=outgoing.key, outcome=outcome.value)
        async with self._store.transaction() as rows:
            await rows.outgoing.sent(outgoing.key)
            for order in outgoing.orders:
                evidence = (await rows.orders.get(order)).content.evidence
                name = f"{outgoing.key.partition(':')[0]} sent"
                await rows.evidence.hop(
                    Hop(evidence, name, self._clock.now(), detail=outcome.value)
                )
        return outcome

    async def look(self, *, at_start: bool = False) -> list[Ended]:
        """Compare what is stored with the chain; send again what is missing; return what has ended.

        Nothing is written down here: the caller does it, together with what follows from it.
        """
        async with self._store.reading() as rows:
            unfinished = await rows.outgoing.unfinished(self.address)
        if not unfinished:
            return []
        mined = await self._ledger.nonce(self.address)
        final = (await self._ledger.head()).number - self._ledger.finality_depth
        found = []
        for outgoing in unfinished:
            ended = await self._look_at(outgoing, mined, final, at_start=at_start)
            if ended is not None:
                found.append(ended)
        return found

    async def _look_at(
        self, outgoing: Outgoing, mined: int, final: int, *, at_start: bool
    ) -> Ended | None:
        receipt = await self._ledger.receipt(outgoing.hash)
        if receipt is not None:
            self._missing.pop(outgoing.key, None)
            if receipt.block > final:
                return None
            if receipt.succeeded:
                return Ended(outgoing, TxState.MINED, receipt=receipt)
            return Ended(outgoing, TxState.FAILED, "It was mined and reverted.", receipt)
        if outgoing.nonce < mined:
            return self._lost(outgoing)
        if at_start or self._is_due(outgoing):
            await self.broadcast(outgoing)
        return None

    def _lost(self, outgoing: Outgoing) -> Ended | None:
        """Another transaction holds the nonce, so it seems.

        Believed when nothing else was seen for a while: the node that counted the nonce may be
        ahead of the one that was asked for the receipt.
        """
        now = self._clock.now()
        if now < self._missing.setdefault(outgoing.key, now) + LOST_AFTER:
            return None
        return Ended(outgoing, TxState.FAILED, "Another transaction of this key took its nonce.")

    def _is_due(self, outgoing: Outgoing) -> bool:
        # Sends double their distance from the creation: 3 s, 6 s, 12 s, ... and never give up.
        wait = RESEND_AFTER * int(2 ** min(max(outgoing.sends - 1, 0), 10))
        return self._clock.now() > outgoing.created_at + wait
