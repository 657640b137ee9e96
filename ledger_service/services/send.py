"""Send: nonce, signature and storage in one transaction, then broadcast; the same bytes for ever."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.calls import Call, Sent
from ledger_service.domain.records import Outgoing, TxState

RESEND_AFTER = timedelta(seconds=3)
LOST_AFTER = timedelta(seconds=30)

log = structlog.get_logger()


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
        """Give stored bytes to every node. A failure is only logged: they are sent again later."""
        outcome = await self._ledger.send(outgoing.raw)
        if outcome not in {Sent.ACCEPTED, Sent.KNOWN}:
            log.warning("not taken", transaction=outgoing.key, outcome=outcome.value)
        async with self._store.transaction() as rows:
            await rows.outgoing.sent(outgoing.key)
        return outcome

    async def reconcile(self, *, at_start: bool = False) -> list[tuple[Outgoing, str]]:
        """Compare what is stored with the chain; send again what is missing.

        Return what ended without its effect, each with the reason.
        """
        async with self._store.reading() as rows:
            unfinished = await rows.outgoing.unfinished(self.address)
        if not unfinished:
            return []
        mined, final = await self._ledger.nonce(self.address), await self._final()
        lost = []
        for outgoing in unfinished:
            reason = await self._settle(outgoing, mined, final, at_start=at_start)
            if reason is not None:
                lost.append((outgoing, reason))
        return lost

    async def _final(self) -> int:
        return (await self._ledger.head()).number - self._ledger.finality_depth

    async def _settle(
        self, outgoing: Outgoing, mined: int, final: int, *, at_start: bool
    ) -> str | None:
        """Return why it failed, for what failed; None for all else."""
        receipt = await self._ledger.receipt(outgoing.hash)
        if receipt is not None and receipt.block > final:
            return None
        if receipt is not None and receipt.succeeded:
            await self._end(outgoing, TxState.MINED)
            return None
        if receipt is not None:
            return await self._end(outgoing, TxState.FAILED, "It was mined and reverted.")
        if outgoing.nonce < mined and await self._ledger.receipt(outgoing.hash) is None:
            return await self._lost(outgoing)
        if at_start or self._is_due(outgoing):
            await self.broadcast(outgoing)
        return None

    async def _lost(self, outgoing: Outgoing) -> str | None:
        """Another transaction holds the nonce. Believed late, when a rewrite of the chain is unlikely."""
        if self._clock.now() < outgoing.created_at + LOST_AFTER:
            return None
        return await self._end(
            outgoing, TxState.FAILED, "Another transaction of this key took its nonce."
        )

    async def _end(self, outgoing: Outgoing, state: TxState, reason: str = "") -> str | None:
        async with self._store.transaction() as rows:
            await rows.outgoing.settle(outgoing.key, state, reason)
        return reason or None

    def _is_due(self, outgoing: Outgoing) -> bool:
        # Sends double their distance from the creation: 3 s, 6 s, 12 s, ... and never give up.
        wait = RESEND_AFTER * int(2 ** min(max(outgoing.sends - 1, 0), 10))
        return self._clock.now() > outgoing.created_at + wait
