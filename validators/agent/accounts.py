"""Accounting for our seat's approvals after a change of key.

Who held a former key may have approved in our name. An approval that another key than the present
one gave, and that the journal does not know as ours, is refused as long as its order is open.
"""

from __future__ import annotations

import hashlib
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.calls import Refuse
from ledger_service.domain.facts import Approved
from ledger_service.domain.lifecycle import SETTLED
from ledger_service.domain.order import Content
from ledger_service.domain.result import Reason
from validators.agent.pen import Pen
from validators.journal.book import Book

BY_CHAIN = "the chain"
TEXT = "approved with a former key, and our journal does not know of it"

log = structlog.get_logger()


class Accounts:
    """One organisation's approvals, those on chain against those in the journal."""

    def __init__(self, *, organisation: int, ledger: ports.Ledger, pen: Pen, book: Book) -> None:
        self._organisation = organisation
        self._ledger = ledger
        self._pen = pen
        self._book = book

    @property
    def key_is_new(self) -> bool:
        """Say whether the journal does not know the key, so that the whole chain must be read."""
        return self._book.memory.key != self._pen.address

    def settle_key(self) -> None:
        """Write down that the chain was read with this key."""
        if self.key_is_new:
            log.info("key", address=ids.checksum(self._pen.address))
            self._book.write({"kind": "key", "address": self._pen.address.hex()})

    def take(self, event: Approved) -> None:
        """Note an approval of ours that cannot be accounted for."""
        memory = self._book.memory
        if event.organisation != self._organisation or event.key == self._pen.address:
            return
        said = memory.verdicts.get(event.order, {})
        ours = said.get("verdict") == "approve" and said.get("by") != BY_CHAIN
        if ours or event.order in memory.unaccounted:
            return
        log.error("an approval that is not ours", order=event.order.hex(), key=event.key.hex())
        entry = {"kind": "unaccounted", "order": event.order.hex(), "key": event.key.hex()}
        self._book.write(entry)

    async def refuse_unaccounted(self) -> None:
        """Refuse them once their content is known. Raise ChainError."""
        memory = self._book.memory
        for order in tuple(memory.unaccounted):
            said = memory.verdicts.get(order)
            if said is not None:
                await self._refuse(order, said)

    async def _refuse(self, order: ids.OrderId, said: dict[str, Any]) -> None:
        if ("unapprove", order) in self._book.memory.purposes:
            self._give_up(order, "It was taken back before.")
            return
        word = await self._ledger.word(order)
        if word.status in SETTLED:
            self._give_up(order, f"It is {word.status.title}.")
            return
        if not word.approved >> said["seat"] & 1:
            self._give_up(order, "The approval does not stand any more.")
            return
        content = Content.from_json(said["content"])
        detail = hashlib.sha256(TEXT.encode()).digest()
        call = Refuse(content, said["seat"], int(Reason.NOT_ACCOUNTED), detail)
        doomed = await self._pen.try_out(call)
        if doomed is not None:
            self._give_up(order, str(doomed))
            return
        log.warning("approval taken back", order=order.hex(), why=TEXT)
        await self._pen.broadcast(self._pen.sign("unapprove", order, call))

    def _give_up(self, order: ids.OrderId, why: str) -> None:
        log.error("a former key approved, and it cannot be refused", order=order.hex(), why=why)
        self._book.write({"kind": "accounted", "order": order.hex(), "why": why})
