"""Send: nonce, signature and storage in one transaction, then broadcast; the same bytes again and again.

Other bytes are signed for a nonce only when every node has refused the present ones for some time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Expire, Propose, Receipt, Sent, Unsigned, Withdraw
from ledger_service.domain.records import Earlier, Hop, Outgoing, TxState

BATCH = 20  #: orders in one proposal, at most
PROPOSE = "propose:"
RESEND_AFTER = timedelta(seconds=3)
RESEND_AT_LEAST = timedelta(minutes=1)
PATIENCE = timedelta(minutes=5)
REFUSALS = frozenset({Sent.REFUSED, Sent.UNDERPRICED})
TRANSFER_GAS = 21_000
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
        self,
        store: ports.Store,
        ledger: ports.Ledger,
        signer: ports.Signer,
        clock: ports.Clock,
        *,
        patience: timedelta = PATIENCE,
    ) -> None:
        """`patience`: how long every node has to refuse the bytes before others are signed."""
        self._patience = patience
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
        refused = None if outcome is Sent.RETRY else outcome in REFUSALS
        async with self._store.transaction() as rows:
            await rows.outgoing.sent(outgoing.key, self._clock.now(), refused=refused)
            await self._note(rows, outgoing, "sent", outcome.value)
        return outcome

    async def note_failure(self, rows: ports.Transaction, ended: Ended) -> None:
        """Let the tracker say that a transaction came to nothing, and why."""
        await self._note(rows, ended.outgoing, "failed", ended.reason)

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
        for signed in (Earlier(outgoing.hash, outgoing.void), *outgoing.earlier):
            receipt = await self._ledger.receipt(signed.hash)
            if receipt is not None:
                self._missing.pop(outgoing.key, None)
                return _ended(outgoing, signed, receipt) if receipt.block <= final else None
        if outgoing.nonce < mined:
            return self._lost(outgoing)
        if at_start or self._is_due(outgoing):
            outcome = await self.broadcast(outgoing)
            # Only the nonce that all others wait for, and only if it is refused to this moment.
            if outgoing.nonce == mined and outcome in REFUSALS and self._is_hopeless(outgoing):
                await self._sign_anew(outgoing, outcome)
        return None

    async def _sign_anew(self, outgoing: Outgoing, outcome: Sent) -> None:
        """Sign the nonce again: the same call at the present fees, or nothing but the nonce's use.

        An order keeps its meaning: either these very contents are proposed, or nothing is.
        """
        unsigned = self._ledger.prepare(await self._call(outgoing))
        void = outgoing.void or outcome is Sent.REFUSED
        if void:
            unsigned = using_up(unsigned, self.address)
        signed = self._signer.sign(unsigned, outgoing.nonce)
        if signed.hash in {outgoing.hash, *(item.hash for item in outgoing.earlier)}:
            log.error("no node takes it; other fees are needed", transaction=outgoing.key)
            return
        why = f"Every node refused it for {self._patience.total_seconds():.0f} s: {outcome.value}."
        try:
            async with self._store.transaction() as rows:
                await rows.outgoing.sign_anew(outgoing, signed, void=void, why=why)
                await self._note(rows, outgoing, "void" if void else "at new fees", why)
        except errors.Conflict:
            return  # another process was faster
        log.warning("signed anew", transaction=outgoing.key, void=void, why=why)
        await self.broadcast(replace(outgoing, hash=signed.hash, raw=signed.raw))

    async def _call(self, outgoing: Outgoing) -> Call:
        """Return what a stored transaction calls."""
        async with self._store.reading() as rows:
            contents = tuple([(await rows.orders.get(it)).content for it in outgoing.orders])
        match outgoing.key.partition(":")[0]:
            case "withdraw":
                return Withdraw(contents[0])
            case "expire":
                return Expire(contents[0])
        return Propose(contents)

    async def _note(
        self, rows: ports.Transaction, outgoing: Outgoing, what: str, detail: str
    ) -> None:
        name = f"{outgoing.key.partition(':')[0]} {what}"
        for order in outgoing.orders:
            evidence = (await rows.orders.get(order)).content.evidence
            await rows.evidence.hop(Hop(evidence, name, self._clock.now(), detail=detail))

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
        # 3 s after the last time, then 6 s, 12 s, ... up to a minute; it never gives up.
        wait = RESEND_AFTER * int(2 ** min(max(outgoing.sends - 1, 0), 10))
        last = outgoing.sent_at or outgoing.created_at
        return self._clock.now() > last + min(wait, RESEND_AT_LEAST)

    def _is_hopeless(self, outgoing: Outgoing) -> bool:
        since = outgoing.refused_at
        return since is not None and self._clock.now() >= since + self._patience


def using_up(unsigned: Unsigned, key: ids.Address) -> Unsigned:
    """Return what uses a nonce and does nothing else: a transfer of nothing, at the same fees."""
    return replace(unsigned, to=key, data=b"", value=0, gas=TRANSFER_GAS)


def _ended(outgoing: Outgoing, signed: Earlier, receipt: Receipt) -> Ended:
    if signed.void:
        reason = f"{outgoing.reason} Its nonce was used for nothing.".strip()
        return Ended(outgoing, TxState.FAILED, reason, receipt)
    if receipt.succeeded:
        return Ended(outgoing, TxState.MINED, receipt=receipt)
    return Ended(outgoing, TxState.FAILED, "It was mined and reverted.", receipt)
