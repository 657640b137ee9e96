"""The pen: one key, one nonce counter, one journal. What is signed is durable before it is sent.

What became of it is for `outcomes` to find out; approvals come here from `batches`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import REFUSALS, Sent, Signed, Unsigned
from ledger_service.domain.units import format_time
from validators.agent import voice
from validators.agent.voice import Spoken
from validators.journal.book import Book
from validators.journal.memory import SignedVerdict

RESEND_AFTER = timedelta(seconds=3)
MAX_DOUBLINGS = 6
STRANGE_SECONDS = 30
TRANSFER_GAS = 21_000
USE_UP = "use up"  #: the purpose of what only uses a nonce that came free, and never says anything
VERDICTS = frozenset({"approve", "refuse"})

log = structlog.get_logger()


class Pen:
    """Signs, stores, and sends; the same bytes as often as it takes."""

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
        self._strange_since: int | None = None  # by the chain's clock, in Unix seconds
        self._sends: dict[ids.TxHash, tuple[int, datetime]] = {}
        self._refused: dict[ids.TxHash, datetime] = {}

    @property
    def address(self) -> ids.Address:
        """Return the key's address."""
        return self._signer.address

    async def ready(self) -> None:
        """Ask where the chain's nonce stands. Comes before the first signature."""
        await self.mined()

    async def mined(self) -> int:
        """Return how many transactions of the key the chain has. Raise ChainError."""
        self._mined = await self._ledger.nonce(self.address)
        return self._mined

    async def strange_under_way(self) -> bool:
        """Say whether a pool holds a transaction of our key that the journal does not know.

        It may be mined yet, and what it says is told by the chain alone. Not for ever: what is not
        mined within half a minute of the chain's own time, no node wants. Raise ChainError.
        """
        key = self.address
        waiting, mined, head = await asyncio.gather(
            self._ledger.waiting_nonce(key), self.mined(), self._ledger.head()
        )
        if waiting <= max(mined, self._book.memory.next_nonce(key)):
            return False
        if self._strange_since is None:
            self._strange_since = head.time
        return head.time - self._strange_since < STRANGE_SECONDS

    async def under_way(self) -> int:
        """Count what was signed and is not mined yet; nobody is asked where there is nothing."""
        if not self._book.memory.unmined:
            return 0
        return max(0, self._book.memory.next_nonce(self.address) - await self.mined())

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
        """Take the nonce, sign, and note it together with `entries`, without any await between.

        Raise Conflict if there is a signature for this purpose, or another verdict on the order.
        """
        self._demand_free(purpose, order)
        return self._sign(purpose, (order,), call, *entries)

    def sign_decided(self, orders: Sequence[ids.OrderId]) -> SignedVerdict:
        """Sign approvals that are decided, in one transaction. Raise Conflict, StorageError."""
        for order in orders:
            self._demand_free("approve", order)
        decided = self._book.memory.decided
        call = voice.approve([decided[order] for order in orders])
        return self._sign("approve", orders, call)

    def sign_again(self, signed: SignedVerdict) -> SignedVerdict:
        """Say the same once more, under another nonce."""
        return self._sign(signed.purpose, signed.orders, voice.load(signed.call))

    def sign_anew(
        self, signed: SignedVerdict, *, void: bool, purpose: str = ""
    ) -> SignedVerdict | None:
        """Sign the same nonce at the fees of now; `void`: for nothing but its use. None if it was before.

        `purpose`: another than it had.
        """
        unsigned = self._ledger.prepare(voice.load(signed.call))
        if void:
            unsigned = using_up(unsigned, self.address)
        again = self._signer.sign(unsigned, signed.nonce)
        if again.hash in {name for name, _ in signed.ever}:
            return None
        orders = signed.orders[:1] if purpose else signed.orders
        return self._store(purpose or signed.purpose, orders, signed.call, again, void=void)

    def use_up(self, nonce: int, waiting: SignedVerdict) -> SignedVerdict:
        """Sign for the use of a nonce that the journal does not know, noted with what waits behind it."""
        unsigned = using_up(self._ledger.prepare(voice.load(waiting.call)), self.address)
        signed = self._signer.sign(unsigned, nonce)
        return self._store(USE_UP, waiting.orders[:1], waiting.call, signed, void=True)

    def _demand_free(self, purpose: str, order: ids.OrderId) -> None:
        taken = self._book.memory.purposes
        rivals = VERDICTS if purpose in VERDICTS else {purpose}
        if any((rival, order) in taken for rival in rivals):
            raise errors.Conflict("It was signed before.", order=order.hex(), purpose=purpose)

    async def broadcast(self, signed: SignedVerdict) -> Sent:
        """Give stored bytes to the nodes, once they are durable. A failure is logged: they are sent again later.

        Raise StorageError: then nothing was sent.
        """
        await self._book.sync()
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

    async def send_old(self, raw: bytes) -> Sent:
        """Give bytes to the nodes that were mined once."""
        return await self._send(raw)

    def is_due(self, signed: SignedVerdict) -> bool:
        """Say whether it is time to send the bytes again: after 3, 6, 12, ... seconds."""
        count, last = self._sends.get(signed.hash, (0, None))
        wait = RESEND_AFTER * int(2 ** min(max(count - 1, 0), MAX_DOUBLINGS))
        return last is None or self._clock.now() > last + wait

    def refused_for(self, signed: SignedVerdict) -> timedelta:
        """Return how long every node has refused the bytes."""
        now = self._clock.now()
        return now - self._refused.get(signed.hash, now)

    def forget(self, signed: SignedVerdict) -> None:
        """Forget how often something was sent that is settled."""
        for transaction, _ in signed.ever:
            self._sends.pop(transaction, None)
            self._refused.pop(transaction, None)

    def _sign(
        self, purpose: str, orders: Sequence[ids.OrderId], call: Spoken, *entries: dict[str, Any]
    ) -> SignedVerdict:
        assert self._mined is not None, "ready() comes first"
        nonce = max(self._book.memory.next_nonce(self.address), self._mined)
        signed = self._signer.sign(self._ledger.prepare(call), nonce)
        return self._store(purpose, orders, voice.dump(call), signed, *entries)

    def _store(
        self,
        purpose: str,
        orders: Sequence[ids.OrderId],
        call: dict[str, Any],
        signed: Signed,
        *entries: dict[str, Any],
        void: bool = False,
    ) -> SignedVerdict:
        entry: dict[str, Any] = {
            "kind": "signed",
            "purpose": purpose,
            "order": orders[0].hex(),
            "signer": self.address.hex(),
            "nonce": signed.nonce,
            "hash": signed.hash.hex(),
            "raw": signed.raw.hex(),
            "call": call,
            "at": format_time(self._clock.now()),
        }
        if len(orders) > 1:
            entry["orders"] = [order.hex() for order in orders]
        if void:
            entry["void"] = True
        self._book.jot(*entries, entry)
        return self._book.memory.unmined[purpose, orders[0]]


def using_up(unsigned: Unsigned, key: ids.Address) -> Unsigned:
    """Return what uses a nonce and does nothing else: a transfer of nothing, at the same fees."""
    return replace(unsigned, to=key, data=b"", value=0, gas=TRANSFER_GAS)
