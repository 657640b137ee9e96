"""Send: nonces, signatures and storage in one transaction, then broadcast; the same bytes again and again.

Other bytes are signed for a nonce only when every node has refused the present ones for some time,
or when an operator wants it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import (
    HOPELESS,
    REFUSALS,
    Call,
    Expire,
    Propose,
    Receipt,
    Sent,
    Unsigned,
    Withdraw,
)
from ledger_service.domain.records import Earlier, Hop, Outgoing, TxState

BATCH = 20  #: orders in one proposal, at most
PROPOSE = "propose:"
RESEND_AFTER = timedelta(seconds=3)
RESEND_AT_LEAST = timedelta(minutes=1)
PATIENCE = timedelta(minutes=5)
HASTE = timedelta(seconds=15)
STUCK_AFTER = timedelta(minutes=5)
TRANSFER_GAS = 21_000
LOST_AFTER = timedelta(seconds=30)
GAPS_AT_ONCE = 100
#: Begins the reason of a nonce that was used for nothing though the bytes may have been right.
UNCLEAR = "No node took it, in words that are not known,"

log = structlog.get_logger()


def purpose(orders: Sequence[ids.OrderId]) -> str:
    """Return the key of the transaction that proposes these orders, the first one named."""
    more = f"+{len(orders) - 1}" if len(orders) > 1 else ""
    return f"{PROPOSE}{orders[0].hex()}{more}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A transaction to be: its purpose's name, what it calls, and for which orders."""

    key: str
    call: Call
    orders: tuple[ids.OrderId, ...]


@dataclass(frozen=True, slots=True)
class Ended:
    """What the chain made of a stored transaction, found and not yet written down.

    `again`: nothing says that its orders are wrong, so they are made anew.
    """

    outgoing: Outgoing
    state: TxState
    reason: str = ""
    receipt: Receipt | None = None
    again: bool = False


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
        # Since when the nonce of these bytes is used and no receipt is found.
        self._missing: dict[ids.TxHash, datetime] = {}
        self._gaps: dict[int, datetime] = {}  # since when the next nonce is nobody's

    @property
    def address(self) -> ids.Address:
        """Return the key's address."""
        return self._signer.address

    async def ready(self) -> None:
        """Ask once where the chain's nonce stands, before the first transaction is taken."""
        if self._mined is None:
            self._mined = await self._ledger.nonce(self.address)

    async def under_way(self) -> int:
        """Return how many orders are in transactions that no block has yet."""
        async with self._store.reading() as rows:
            unfinished = await rows.outgoing.unfinished(self.address)
        if not unfinished:
            return 0
        mined = await self._ledger.nonce(self.address)
        return sum(len(item.orders) for item in unfinished if item.nonce >= mined)

    async def store(self, rows: ports.Transaction, wanted: Sequence[Wanted]) -> list[Outgoing]:
        """Take the nonces, sign, and store the bytes, in the caller's transaction. Raise Conflict."""
        assert self._mined is not None, "ready() comes first"
        nonce = await rows.outgoing.next_nonce(self.address, self._mined, len(wanted))
        items = [self._sign(item, at) for at, item in enumerate(wanted, nonce)]
        await rows.outgoing.add(*items)
        return items

    async def broadcast(self, items: Sequence[Outgoing]) -> list[Sent]:
        """Give stored bytes to every node, in the order of their nonces.

        A failure is logged and told: they are sent again later.
        """
        outcomes = list(await self._ledger.send_many([item.raw for item in items]))
        pairs = list(zip(items, outcomes, strict=True))
        for item, outcome in pairs:
            if outcome not in {Sent.ACCEPTED, Sent.KNOWN}:
                log.warning("not taken", transaction=item.key, outcome=outcome.value)
        async with self._store.transaction() as rows:
            now = self._clock.now()
            for refused in (None, False, True):
                keys = [item.key for item, outcome in pairs if _refused(outcome) is refused]
                if keys:
                    await rows.outgoing.sent(keys, now, refused=refused)
            await self._note(rows, ((item, "sent", outcome.value) for item, outcome in pairs))
        return outcomes

    async def note_failure(self, rows: ports.Transaction, ended: Ended) -> None:
        """Let the tracker say that a transaction came to nothing, and why."""
        await self._note(rows, [(ended.outgoing, "failed", ended.reason)])

    async def look(self, *, at_start: bool = False) -> list[Ended]:
        """Compare what is stored with the chain; send again what is missing; return what has ended.

        Nothing is written down here: the caller does it, together with what follows from it. The
        chain is asked for two counts and for the receipts of what they say has ended: once each.
        """
        async with self._store.reading() as rows:
            unfinished = await rows.outgoing.unfinished(self.address)
        if not unfinished:
            return []
        mined = self._mined = await self._ledger.nonce(self.address)
        final = (await self._ledger.head()).number - self._ledger.finality_depth
        settled = min(mined, await self._ledger.nonce(self.address, final))
        waiting = [item for item in unfinished if item.nonce >= mined]
        if waiting and waiting[0].nonce > mined:
            await self._close_gap(mined, waiting[0].nonce)
        await self._send_again(waiting, mined, at_start=at_start)
        # Last: a node that still indexes has no word on receipts, and nothing waits for that.
        return await self._ends([item for item in unfinished if item.nonce < settled], final)

    async def cancel(self, nonce: int) -> Sent:
        """Sign a stored transaction's nonce again, for nothing and at higher fees, and send that.

        Whichever of the bytes is mined ends it. Raise NotFound, IllegalMove; Conflict if it was
        settled or signed anew at the same moment.
        """
        async with self._store.reading() as rows:
            found = await rows.outgoing.at(self.address, nonce)
        if found is None:
            raise errors.NotFound("No transaction has this nonce.", found=nonce)
        if found.state is not TxState.STORED:
            raise errors.IllegalMove("It has ended.", found=found.state.value, expected="stored")
        dearer = raised(self._nothing(), len(found.earlier) + 1)
        return await self._replace(found, dearer, void=True, why="Cancelled by an operator.")

    def _sign(self, wanted: Wanted, nonce: int) -> Outgoing:
        signed = self._signer.sign(self._ledger.prepare(wanted.call), nonce)
        return Outgoing(
            key=wanted.key,
            signer=self.address,
            nonce=nonce,
            hash=signed.hash,
            raw=signed.raw,
            created_at=self._clock.now(),
            orders=wanted.orders,
        )

    async def _ends(self, used: Sequence[Outgoing], final: int) -> list[Ended]:
        """Return what became of transactions whose nonces final blocks have used."""
        tries = [
            (item, signed)
            for item in used
            for signed in (Earlier(item.hash, item.void), *item.earlier)
        ]
        receipts = await self._ledger.receipts([signed.hash for _, signed in tries])
        mined = {
            item.key: (signed, receipt)
            for (item, signed), receipt in zip(tries, receipts, strict=True)
            if receipt is not None
        }
        ended = []
        for item in used:
            if item.key not in mined:
                ended += self._lost(item)
                continue
            self._missing.pop(item.hash, None)
            signed, receipt = mined[item.key]
            if receipt.block <= final:
                ended.append(_ended(item, signed, receipt))
        return ended

    async def _send_again(self, waiting: Sequence[Outgoing], mined: int, *, at_start: bool) -> None:
        """Send what is due. What a pool had lost was not all that it lost: the rest follows at once."""
        due = [item for item in waiting if at_start or self._is_due(item)]
        if not due:
            return
        for item in due:
            if item.created_at + STUCK_AFTER < self._clock.now():
                log.error("stuck", transaction=item.key, nonce=item.nonce, sends=item.sends)
        outcomes = await self.broadcast(due)
        if not at_start and any(
            item.sends and outcome is Sent.ACCEPTED
            for item, outcome in zip(due, outcomes, strict=True)
        ):
            behind = [item for item in waiting if item not in due]
            if behind:
                await self.broadcast(behind)
        first, outcome = due[0], outcomes[0]
        # Only the nonce that all others wait for, and only if it is refused to this moment. Bytes that
        # are wrong in themselves hold the others up for a moment only.
        hasty = outcome is Sent.REFUSED and len(waiting) > 1
        patience = min(HASTE, self._patience) if hasty else self._patience
        if first.nonce == mined and outcome in REFUSALS and self._is_refused(first, patience):
            await self._sign_anew(first, outcome, patience)

    async def _sign_anew(self, outgoing: Outgoing, outcome: Sent, patience: timedelta) -> None:
        """Sign the nonce again: the same call at the present fees, or nothing but the nonce's use.

        An order keeps its meaning: either these very contents are proposed, or nothing is.
        """
        void = outgoing.void or outcome in HOPELESS
        unsigned = self._nothing() if void else self._ledger.prepare(await self._call(outgoing))
        said = UNCLEAR if outcome is Sent.UNCLEAR else "Every node refused it"
        why = f"{said} for {patience.total_seconds():.0f} s: {outcome.value}."
        try:
            await self._replace(outgoing, unsigned, void=void, why=why)
        except errors.Conflict:
            return  # another process was faster

    async def _replace(
        self, outgoing: Outgoing, unsigned: Unsigned, *, void: bool, why: str
    ) -> Sent:
        """Store other bytes for the nonce and send them. Raise Conflict."""
        signed = self._signer.sign(unsigned, outgoing.nonce)
        if signed.hash in {outgoing.hash, *(item.hash for item in outgoing.earlier)}:
            log.error("no node takes it; other fees are needed", transaction=outgoing.key)
            return Sent.UNDERPRICED
        async with self._store.transaction() as rows:
            await rows.outgoing.sign_anew(outgoing, signed, void=void, why=why)
            await self._note(rows, [(outgoing, "void" if void else "at new fees", why)])
        log.warning("signed anew", transaction=outgoing.key, void=void, why=why)
        (outcome,) = await self.broadcast([replace(outgoing, hash=signed.hash, raw=signed.raw)])
        return outcome

    async def _close_gap(self, mined: int, first: int) -> None:
        """See to nonces that the chain wants next and that nothing unfinished has.

        What we hold as mined, a chain that lost it is given again. What is nobody's (the key was
        used elsewhere, and a rewrite dropped that) is used up for nothing, after some time: all
        that is signed waits behind it.
        """
        async with self._store.reading() as rows:
            wanted = range(mined, min(first, mined + GAPS_AT_ONCE))
            found = [await rows.outgoing.at(self.address, nonce) for nonce in wanted]
        again = [item.raw for item in found if item is not None and item.state is TxState.MINED]
        if again:
            log.warning("the chain has lost what was mined", nonce=mined, count=len(again))
            await self._ledger.send_many(again)
        if found[0] is not None and found[0].state is TxState.MINED:
            return
        now = self._clock.now()
        self._gaps = {mined: self._gaps.get(mined, now)}
        if now < self._gaps[mined] + self._patience:
            return
        pairs = zip(wanted, found, strict=True)
        nobodys = [at for at, it in pairs if it is None or it.state is not TxState.MINED]
        log.warning("nonces are nobody's; they are used for nothing", nonces=nobodys)
        # All at once: each by itself would have this patience again. Always the same bytes, so there
        # is nothing to store.
        nothing = self._nothing()
        await self._ledger.send_many([self._signer.sign(nothing, at).raw for at in nobodys])

    def _nothing(self) -> Unsigned:
        return using_up(self._ledger.prepare(Propose(())), self.address)

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
        self, rows: ports.Transaction, told: Iterable[tuple[Outgoing, str, str]]
    ) -> None:
        """Record (transaction, what, detail) as a hop of each order's evidence."""
        told = list(told)
        evidence = await rows.orders.evidence_of(
            [order for outgoing, _, _ in told for order in outgoing.orders]
        )
        now = self._clock.now()
        hops = [
            Hop(evidence[order], f"{outgoing.key.partition(':')[0]} {what}", now, detail=detail)
            for outgoing, what, detail in told
            for order in outgoing.orders
            if order in evidence
        ]
        await rows.evidence.hop(*hops)

    def _lost(self, outgoing: Outgoing) -> list[Ended]:
        """Another transaction holds the nonce, so it seems.

        Believed when nothing else was seen for a while: the node that counted the nonce may be
        ahead of the one that was asked for the receipt.
        """
        now = self._clock.now()
        if now < self._missing.setdefault(outgoing.hash, now) + LOST_AFTER:
            return []
        del self._missing[outgoing.hash]
        why = "Another transaction of this key took its nonce."
        return [Ended(outgoing, TxState.FAILED, why, again=True)]

    def _is_due(self, outgoing: Outgoing) -> bool:
        # 3 s after the last time, then 6 s, 12 s, ... up to a minute; it never gives up.
        wait = RESEND_AFTER * int(2 ** min(max(outgoing.sends - 1, 0), 10))
        last = outgoing.sent_at or outgoing.created_at
        return self._clock.now() > last + min(wait, RESEND_AT_LEAST)

    def _is_refused(self, outgoing: Outgoing, patience: timedelta) -> bool:
        since = outgoing.refused_at
        return since is not None and self._clock.now() >= since + patience


def using_up(unsigned: Unsigned, key: ids.Address) -> Unsigned:
    """Return what uses a nonce and does nothing else: a transfer of nothing, at the same fees."""
    return replace(unsigned, to=key, data=b"", value=0, gas=TRANSFER_GAS)


def raised(unsigned: Unsigned, times: int) -> Unsigned:
    """Return it at fees a quarter higher, so many times over: what pools want of a replacement.

    Where gas is free it stays free.
    """
    fees = tuple((name, -(-fee * 5**times // 4**times)) for name, fee in unsigned.fees)
    return replace(unsigned, fees=fees)


def _refused(outcome: Sent) -> bool | None:
    """Say whether every node refused; None if that is not known."""
    return None if outcome is Sent.RETRY else outcome in REFUSALS


def _ended(outgoing: Outgoing, signed: Earlier, receipt: Receipt) -> Ended:
    if signed.void:
        reason = f"{outgoing.reason} Its nonce was used for nothing.".strip()
        again = outgoing.reason.startswith(UNCLEAR)
        return Ended(outgoing, TxState.FAILED, reason, receipt, again)
    if receipt.succeeded:
        return Ended(outgoing, TxState.MINED, receipt=receipt)
    return Ended(outgoing, TxState.FAILED, "It was mined and reverted.", receipt)
