"""The pen: one key, one nonce counter, one journal. What is signed is stored before it is sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Receipt, Sent, Signed
from ledger_service.domain.lifecycle import MAY_TRY_AGAIN, Status
from ledger_service.domain.units import format_time
from validators.agent import voice
from validators.agent.voice import Spoken
from validators.journal.book import Book
from validators.journal.memory import SignedVerdict

RESEND_AFTER = timedelta(seconds=3)
MAX_DOUBLINGS = 6
LOST_AFTER = timedelta(seconds=30)
PATIENCE = timedelta(minutes=1)
CAME_TO_NOTHING = MAY_TRY_AGAIN | {Status.CONTESTED}
REFUSALS = frozenset({Sent.REFUSED, Sent.UNDERPRICED})
VERDICTS = frozenset({"approve", "refuse"})

log = structlog.get_logger()


class Pen:
    """Signs, stores, sends, sends again, and finds out what became of it."""

    def __init__(
        self,
        *,
        ledger: ports.Ledger,
        send: Callable[[bytes], Awaitable[Sent]],
        signer: ports.Signer,
        book: Book,
        clock: ports.Clock,
    ) -> None:
        """`send` gives raw bytes to nodes; `ledger` is what is believed about the chain."""
        self._ledger = ledger
        self._send = send
        self._signer = signer
        self._book = book
        self._clock = clock
        self._mined: int | None = None
        self._sends: dict[ids.TxHash, tuple[int, datetime]] = {}
        self._refused: dict[ids.TxHash, datetime] = {}

    @property
    def address(self) -> ids.Address:
        """Return the key's address."""
        return self._signer.address

    async def ready(self) -> None:
        """Ask where the chain's nonce stands. Comes before the first signature."""
        self._mined = await self._ledger.nonce(self.address)

    async def try_out(self, call: Spoken) -> errors.CallReverted | None:
        """Return why the contract would refuse the call now, None if it would not."""
        try:
            await self._ledger.simulate(call, self.address)
        except errors.CallReverted as exc:
            return exc
        return None

    def sign(
        self, purpose: str, order: ids.OrderId, call: Spoken, *entries: dict[str, Any]
    ) -> SignedVerdict:
        """Take the nonce, sign, and write it down together with `entries`, without any await between.

        Raise Conflict if there is a signature for this purpose, or another verdict on the order.
        """
        taken = self._book.memory.purposes
        rivals = VERDICTS if purpose in VERDICTS else {purpose}
        if any((rival, order) in taken for rival in rivals):
            raise errors.Conflict("It was signed before.", order=order.hex(), purpose=purpose)
        return self._sign(purpose, order, call, *entries)

    async def broadcast(self, signed: SignedVerdict) -> Sent:
        """Give stored bytes to the nodes. A failure is logged: they are sent again later."""
        count, _ = self._sends.get(signed.hash, (0, None))
        self._sends[signed.hash] = (count + 1, self._clock.now())
        outcome = await self._send(signed.raw)
        if outcome in REFUSALS:
            self._refused.setdefault(signed.hash, self._clock.now())
        elif outcome is not Sent.RETRY:
            self._refused.pop(signed.hash, None)
        if outcome not in {Sent.ACCEPTED, Sent.KNOWN}:
            log.warning(
                "not taken",
                order=signed.order.hex(),
                purpose=signed.purpose,
                nonce=signed.nonce,
                outcome=outcome.value,
            )
        return outcome

    async def reconcile(self, *, at_start: bool = False) -> bool:
        """Compare what was signed with the chain; send again what is missing. Raise ChainError."""
        unmined = sorted(self._book.memory.unmined.values(), key=lambda signed: signed.nonce)
        if not unmined:
            return False
        self._mined = await self._ledger.nonce(self.address)
        final = (await self._ledger.head()).number - self._ledger.finality_depth
        for signed in unmined:
            await self._settle(signed, final, at_start=at_start)
        return False

    async def _settle(self, signed: SignedVerdict, final: int, *, at_start: bool) -> None:
        receipt = await self._receipt(signed)
        if receipt is not None and receipt.block > final:
            return
        if receipt is not None and receipt.succeeded:
            self._end(signed, succeeded=True)
        elif signed.signer != self.address:
            await self._again(signed)
        elif receipt is not None:
            await self._reverted(signed)
        elif self._is_lost(signed):
            await self._again(signed)
        elif at_start or self._is_due(signed):
            outcome = await self.broadcast(signed)
            # Only the nonce that all others wait for, and only if it is refused to this moment.
            if outcome in REFUSALS and signed.nonce == self._mined and self._is_hopeless(signed):
                await self._at_present_fees(signed, outcome)

    async def _receipt(self, signed: SignedVerdict) -> Receipt | None:
        for transaction in (signed.hash, *signed.before):
            receipt = await self._ledger.receipt(transaction)
            if receipt is not None:
                return receipt
        return None

    async def _at_present_fees(self, signed: SignedVerdict, outcome: Sent) -> None:
        """Sign the same for the same nonce at the fees of now; where they are no others, say so."""
        call = voice.load(signed.call)
        again = self._signer.sign(self._ledger.prepare(call), signed.nonce)
        if again.hash not in {signed.hash, *signed.before}:
            log.warning("signed anew for its nonce", order=signed.order.hex(), nonce=signed.nonce)
            await self.broadcast(self._store(signed.purpose, signed.order, call, again))
            return
        why = f"No node takes it ({outcome.value}), and all that is signed later waits behind it."
        log.error("stuck", order=signed.order.hex(), purpose=signed.purpose, why=why)
        if (signed.purpose, signed.order) not in self._book.memory.stuck:
            order, purpose = signed.order.hex(), signed.purpose
            self._book.write({"kind": "stuck", "order": order, "purpose": purpose, "why": why})

    async def _reverted(self, signed: SignedVerdict) -> None:
        why = await self.try_out(voice.load(signed.call))
        if why is not None and why.fields.get("why") == "Seat":
            return  # the key was replaced: the next one says it again
        moot = await self._is_moot(signed)
        self._end(signed, succeeded=moot, why=f"It was mined and reverted. {why or ''}")

    async def _again(self, signed: SignedVerdict) -> None:
        """Say the same once more, if it still can be: the nonce is taken, or the key was replaced."""
        call = voice.load(signed.call)
        why = await self.try_out(call)
        if why is not None:
            # It is on chain by an earlier signature, or the order came to nothing without it.
            done = why.fields.get("why") == "Voted" or await self._is_moot(signed)
            self._end(signed, succeeded=done, why=f"It cannot be said again. {why}")
            return
        log.warning("signed anew", order=signed.order.hex(), nonce=signed.nonce)
        await self.broadcast(self._sign(signed.purpose, signed.order, call))

    async def _is_moot(self, signed: SignedVerdict) -> bool:
        """Say whether it is a refusal whose order others refused, or which ended, a moment before."""
        if signed.purpose not in {"refuse", "unapprove"}:
            return False
        return (await self._ledger.word(signed.order)).status in CAME_TO_NOTHING

    def _sign(
        self, purpose: str, order: ids.OrderId, call: Spoken, *entries: dict[str, Any]
    ) -> SignedVerdict:
        assert self._mined is not None, "ready() comes first"
        nonce = max(self._book.memory.next_nonce(self.address), self._mined)
        signed = self._signer.sign(self._ledger.prepare(call), nonce)
        return self._store(purpose, order, call, signed, *entries)

    def _store(
        self,
        purpose: str,
        order: ids.OrderId,
        call: Spoken,
        signed: Signed,
        *entries: dict[str, Any],
    ) -> SignedVerdict:
        entry = {
            "kind": "signed",
            "purpose": purpose,
            "order": order.hex(),
            "signer": self.address.hex(),
            "nonce": signed.nonce,
            "hash": signed.hash.hex(),
            "raw": signed.raw.hex(),
            "call": voice.dump(call),
            "at": format_time(self._clock.now()),
        }
        self._book.write(*entries, entry)
        return self._book.memory.unmined[purpose, order]

    def _end(self, signed: SignedVerdict, *, succeeded: bool, why: str = "") -> None:
        for transaction in (signed.hash, *signed.before):
            self._sends.pop(transaction, None)
            self._refused.pop(transaction, None)
        self._book.write(
            {
                "kind": "mined",
                "purpose": signed.purpose,
                "order": signed.order.hex(),
                "hash": signed.hash.hex(),
                "succeeded": succeeded,
                "why": why,
            }
        )
        if not succeeded:
            log.error("without effect", order=signed.order.hex(), purpose=signed.purpose, why=why)

    def _is_lost(self, signed: SignedVerdict) -> bool:
        # Believed late, when a rewrite of the chain that brings it back is unlikely.
        assert self._mined is not None
        age = self._clock.now() - datetime.fromisoformat(signed.at)
        return signed.nonce < self._mined and age > LOST_AFTER

    def _is_hopeless(self, signed: SignedVerdict) -> bool:
        since = self._refused.get(signed.hash)
        return since is not None and self._clock.now() >= since + PATIENCE

    def _is_due(self, signed: SignedVerdict) -> bool:
        count, last = self._sends.get(signed.hash, (0, None))
        wait = RESEND_AFTER * int(2 ** min(max(count - 1, 0), MAX_DOUBLINGS))
        return last is None or self._clock.now() > last + wait
