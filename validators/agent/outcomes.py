"""What became of what was signed: mined, left out of its batch, lost, or refused by every node.

The chain is asked, and what is missing there is sent again: the same bytes. Other bytes follow only
where these can count no more, or where every node refuses them: the same at the fees of now, else a
transfer of nothing, so that what was signed later need not wait behind it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import HOPELESS, REFUSALS, Receipt, Sent
from ledger_service.domain.facts import Skipped
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Status
from validators.agent import voice
from validators.agent.pace import Pace
from validators.agent.pen import USE_UP, Pen
from validators.journal.book import Book
from validators.journal.memory import SignedVerdict

LOST_AFTER = LOOK_AFTER = timedelta(seconds=30)
PATIENCE = timedelta(minutes=1)
MOST_VOIDS = 3  #: for one purpose and order; then a person must see what the nodes have against it
CAME_TO_NOTHING = MAY_TRY_AGAIN | {Status.CONTESTED}

log = structlog.get_logger()


class Outcomes:
    """One key's transactions, compared with the chain."""

    def __init__(
        self, *, ledger: ports.Ledger, pen: Pen, book: Book, clock: ports.Clock, pace: Pace
    ) -> None:
        self._ledger = ledger
        self._pen = pen
        self._book = book
        self._clock = clock
        self._pace = pace
        self._seen: dict[ids.TxHash, int] = {}  # the block that a receipt named, until it is final
        self._gap_looked: datetime | None = None
        self._gap: tuple[frozenset[int], datetime] | None = None

    async def reconcile(self, *, at_start: bool = False) -> None:
        """Compare what was signed with the chain; send again what is missing. Raise ChainError."""
        unmined = sorted(self._book.memory.unmined.values(), key=lambda signed: signed.nonce)
        if not unmined:
            return
        mined, head = await asyncio.gather(self._pen.mined(), self._ledger.head())
        final = head.number - self._ledger.finality_depth
        for signed in unmined:
            await self._settle(signed, mined, final, at_start=at_start)

    async def fill_gap(self) -> None:
        """Send again what was final and is not there any more: a chain that went back, for good.

        A node that only catches up has it again by itself, so half a minute passes first. The bytes are
        those of the journal, and so each says what it said, or is skipped. What every node refuses (fees
        rose since) is signed for its nonce once more, and is under way again; not what is under way with
        another nonce already, whose own is only used. So is a nonce that the journal does not know.
        """
        now = self._clock.now()
        if self._gap_looked is not None and now < self._gap_looked + LOOK_AFTER:
            return
        self._gap_looked = now
        memory, key = self._book.memory, self._pen.address
        known = {it.nonce for it in memory.unmined.values() if it.signer == key}
        missing = frozenset(range(await self._pen.mined(), memory.next_nonce(key))) - known
        if not missing:
            self._gap = None
            return
        nonces, since = self._gap or (missing, now)
        self._gap = (missing, since if missing & nonces else now)
        if now - self._gap[1] < LOST_AFTER:
            return
        log.error("the chain went back", key=ids.checksum(key), missing=len(missing))
        found = await asyncio.to_thread(self._book.signed, key, missing)
        await self._use_up(missing - {signed.nonce for signed in found}, found)
        for signed in found:
            if await self._pen.send_old(signed.raw) not in REFUSALS:
                continue
            if (signed.purpose, signed.order) not in memory.unmined:
                again = self._pen.sign_anew(signed, void=signed.void)
            elif (USE_UP, signed.order) not in memory.unmined:
                again = self._pen.sign_anew(signed, void=True, purpose=USE_UP)
            else:
                continue  # one nonce of an order at a time
            if again is not None:
                await self._pen.broadcast(again)

    async def _use_up(self, nonces: frozenset[int], found: Sequence[SignedVerdict]) -> None:
        """Use nonces of what another program, or a journal that was lost, signed, and a rewrite dropped.

        Else what was signed later waits behind them for ever.
        """
        memory = self._book.memory
        for nonce in sorted(nonces):
            behind = (
                it
                for it in (*memory.unmined.values(), *found)
                if it.signer == self._pen.address
                and it.nonce > nonce
                and (USE_UP, it.order) not in memory.unmined
            )
            waiting = next(behind, None)
            if waiting is not None:
                await self._pen.broadcast(self._pen.use_up(nonce, waiting))

    async def _settle(
        self, signed: SignedVerdict, mined: int, final: int, *, at_start: bool
    ) -> None:
        receipt, void = None, False
        ours = signed.signer == self._pen.address
        if not ours or signed.nonce < mined:
            if self._seen.get(signed.hash, -1) > final:
                return  # in a block that may still be rewritten; asked again when it is final
            receipt, void = await self._receipt(signed)
        if receipt is not None and receipt.block > final:
            self._note_seen(signed, receipt)
            return
        if receipt is not None and void:
            await self._used_up(signed)
        elif receipt is not None and receipt.succeeded:
            await self._mined(signed, receipt)
        elif not ours:
            await self._again(signed)
        elif receipt is not None:
            await self._reverted(signed)
        elif self._is_lost(signed, mined):
            await self._again(signed)
        elif at_start or self._pen.is_due(signed) or self._holds_up(signed, mined):
            await self._send_again(signed, mined)

    async def _receipt(self, signed: SignedVerdict) -> tuple[Receipt | None, bool]:
        """Return the receipt of the one of its transactions that was mined, and whether that was void."""
        for transaction, void in signed.ever:
            receipt = await self._ledger.receipt(transaction)
            if receipt is not None:
                return receipt, void
        return None, False

    def _note_seen(self, signed: SignedVerdict, receipt: Receipt) -> None:
        if signed.hash not in self._seen:
            self._seen[signed.hash] = receipt.block
            self._pace.mined(self._clock.now() - datetime.fromisoformat(signed.at))

    async def _mined(self, signed: SignedVerdict, receipt: Receipt) -> None:
        self._note_seen(signed, receipt)
        left_out = await self._left_out(signed, receipt) if len(signed.orders) > 1 else {}
        for order, why in left_out.items():
            log.warning("left out of a batch", order=order.hex(), why=why)
        self._end(signed, succeeded=True, unsaid=tuple(left_out), mined=receipt.hash)

    async def _left_out(self, signed: SignedVerdict, receipt: Receipt) -> dict[ids.OrderId, int]:
        """Return the orders of a mined batch that the contract skipped, each with its reason."""
        block = await self._ledger.block(receipt.block)
        if block is None or block.hash != receipt.block_hash:
            raise errors.BadAnswer("The node lost a block.", found=receipt.block)
        transactions = {name for name, _ in signed.ever}
        return {
            fact.event.order: fact.event.why
            for fact in await self._ledger.facts(block)
            if isinstance(fact.event, Skipped) and fact.place.transaction in transactions
        }

    def _holds_up(self, signed: SignedVerdict, mined: int) -> bool:
        """Say whether all others wait for it, and it is time to sign it anew, however long ago it was sent."""
        stuck = (signed.purpose, signed.order) in self._book.memory.stuck
        return signed.nonce == mined and not stuck and self._pen.refused_for(signed) >= PATIENCE

    async def _send_again(self, signed: SignedVerdict, mined: int) -> None:
        outcome = await self._pen.broadcast(signed)
        # Only the nonce that all others wait for, and only if it is refused to this moment.
        hopeless = self._pen.refused_for(signed) >= PATIENCE
        if outcome in REFUSALS and signed.nonce == mined and hopeless:
            await self._sign_anew(signed, outcome)

    async def _sign_anew(self, signed: SignedVerdict, outcome: Sent) -> None:
        """Sign the nonce again: the same at the fees of now, or what does no more than use it.

        The latter where no node will ever take the bytes, or where nobody needs them any more.
        """
        void = signed.void or outcome in HOPELESS or await self._is_over(signed)
        again = self._pen.sign_anew(signed, void=void)
        if again is not None:
            order = again.order.hex()
            log.warning(
                "signed anew for its nonce", order=order, nonce=again.nonce, void=again.void
            )
            await self._pen.broadcast(again)
            return
        why = f"No node takes it ({outcome.value}), and all that is signed later waits behind it."
        log.error("stuck", order=signed.order.hex(), purpose=signed.purpose, why=why)
        if (signed.purpose, signed.order) not in self._book.memory.stuck:
            order, purpose = signed.order.hex(), signed.purpose
            self._book.write({"kind": "stuck", "order": order, "purpose": purpose, "why": why})

    async def _used_up(self, signed: SignedVerdict) -> None:
        """Say again what its nonce did not say, if it still can be; not for ever."""
        voids = self._book.memory.voids.get((signed.purpose, signed.order), 0)
        if voids < MOST_VOIDS or signed.purpose == USE_UP:
            await self._again(signed)
        else:
            why = "Every node refuses it, whatever its nonce."
            self._end(signed, succeeded=False, why=why)

    async def _reverted(self, signed: SignedVerdict) -> None:
        if len(signed.orders) > 1:
            log.warning("a whole batch reverted", orders=len(signed.orders))
            self._end(signed, succeeded=True, unsaid=signed.orders, alone=True)
            return
        why = await self._pen.try_out(voice.load(signed.call))
        if why is not None and why.fields.get("why") == "Seat":
            return  # the key was replaced: the next one says it again
        moot = await self._is_moot(signed)
        self._end(signed, succeeded=moot, why=f"It was mined and reverted. {why or ''}")

    async def _again(self, signed: SignedVerdict) -> None:
        """Say the same once more, if it still can be: the nonce is taken, or the key was replaced."""
        if signed.purpose == USE_UP:
            self._end(signed, succeeded=True)
            return
        if len(signed.orders) > 1:
            self._end(signed, succeeded=True, unsaid=signed.orders, alone=signed.void)
            return
        why = await self._pen.try_out(voice.load(signed.call))
        if why is not None:
            # It is on chain by an earlier signature, or the order came to nothing without it.
            done = why.fields.get("why") == "Voted" or await self._is_moot(signed)
            self._end(signed, succeeded=done, why=f"It cannot be said again. {why}")
            return
        log.warning("signed anew", order=signed.order.hex(), nonce=signed.nonce)
        self._pen.forget(signed)
        await self._pen.broadcast(self._pen.sign_again(signed))

    async def _is_moot(self, signed: SignedVerdict) -> bool:
        """Say whether it is a refusal whose order others refused, or which ended, a moment before."""
        if signed.purpose not in {"refuse", "unapprove"}:
            return False
        return (await self._ledger.word(signed.order)).status in CAME_TO_NOTHING

    async def _is_over(self, signed: SignedVerdict) -> bool:
        """Say whether none of its orders can be helped by it any more. Raise ChainError."""
        tried = await asyncio.gather(
            *(self._pen.try_out(call) for call in voice.singly(signed.call))
        )
        return all(why is not None for why in tried)

    def _end(
        self,
        signed: SignedVerdict,
        *,
        succeeded: bool,
        why: str = "",
        unsaid: Sequence[ids.OrderId] = (),
        alone: bool = False,
        mined: ids.TxHash | None = None,
    ) -> None:
        """Write down that a transaction is settled; `unsaid`: those that are decided again.

        `mined`: the one of its nonce that was; a chain that goes back is told it again, and no other.
        """
        self._pen.forget(signed)
        self._seen.pop(signed.hash, None)
        entry = {
            "kind": "mined",
            "purpose": signed.purpose,
            "order": signed.order.hex(),
            "hash": signed.hash.hex(),
            "succeeded": succeeded,
            "why": why,
        }
        if mined is not None:
            entry["mined"] = mined.hex()
        more = []
        if unsaid:
            orders = [order.hex() for order in unsaid]
            more = [{"kind": "unsaid", "orders": orders, "alone": alone}]
        self._book.jot(entry, *more)
        if not succeeded:
            log.error("without effect", order=signed.order.hex(), purpose=signed.purpose, why=why)

    def _is_lost(self, signed: SignedVerdict, mined: int) -> bool:
        # Believed late, when a rewrite of the chain that brings it back is unlikely.
        age = self._clock.now() - datetime.fromisoformat(signed.at)
        return signed.nonce < mined and age > LOST_AFTER
