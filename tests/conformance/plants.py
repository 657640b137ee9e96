"""A plant of three organisations, whatever chain it stands on: what the Ledger suite needs."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from ledger_service import ports
from ledger_service.clock import SystemClock
from ledger_service.domain import ids
from ledger_service.domain.calls import Approve, Call, Receipt, Sent
from ledger_service.domain.facts import Event, OrderWord
from ledger_service.domain.order import Content, order_id
from ledger_service.testing import MemoryLedger, MemorySigner
from tests.peers.consortium import ASSET, DETECTOR, DEVICE, RESULT, Founded

SEATS = (1, 2, 3)
MINED_SECONDS = 60.0


@dataclass
class Plant:
    """Organisation 1 is the host, 3 the safety authority; each sits in seat number - 1."""

    ledger: ports.Ledger
    version: ids.VersionId
    builder: ports.Signer
    stranger: ports.Signer
    verdicts: Sequence[ports.Signer]
    governors: Sequence[ports.Signer]
    fresh: Callable[[], Content]
    close: Callable[[], object]

    def content(self, **changes: object) -> Content:
        """Return a fresh order of the asset."""
        return replace(self.fresh(), **changes)  # type: ignore[arg-type]  # fields by name

    def emergency(self) -> Content:
        """Return a fresh order by the safety authority."""
        return self.content(builder=self.governors[2].address, cost=10)

    def order(self, content: Content) -> ids.OrderId:
        return order_id(content, self.ledger.orders)

    async def send(self, key: ports.Signer, call: Call) -> ids.TxHash:
        """Sign by the next mined nonce and send."""
        unsigned = self.ledger.prepare(call)
        signed = key.sign(unsigned, await self.ledger.nonce(key.address))
        assert await self.ledger.send(signed.raw) in {Sent.ACCEPTED, Sent.KNOWN}
        return signed.hash

    async def mined(self, transaction: ids.TxHash) -> Receipt:
        async with asyncio.timeout(MINED_SECONDS):
            while (receipt := await self.ledger.receipt(transaction)) is None:  # noqa: ASYNC110  a node has no event for it
                await asyncio.sleep(0.02)
            # geth tells of a receipt a moment before its newest state counts the nonce.
            while (await self.ledger.head()).number < receipt.block:  # noqa: ASYNC110  milliseconds
                await asyncio.sleep(0.005)
            return receipt

    async def do(self, key: ports.Signer, call: Call) -> Receipt:
        return await self.mined(await self.send(key, call))

    async def approve(self, content: Content, *numbers: int) -> list[Receipt]:
        """Let organisations approve, one after the other."""
        return [
            await self.do(self.verdicts[number - 1], approval(content, number))
            for number in numbers
        ]

    async def events(self, *receipts: Receipt) -> list[Event]:
        """Return the events of these transactions, in chain order."""
        wanted = {receipt.hash for receipt in receipts}
        found: list[Event] = []
        for number in sorted({receipt.block for receipt in receipts}):
            block = await self.ledger.block(number)
            assert block is not None
            facts = await self.ledger.facts(block)
            found += [fact.event for fact in facts if fact.place.transaction in wanted]
        return found

    async def word(self, content: Content) -> OrderWord:
        return await self.ledger.word(self.order(content))


def approval(content: Content, number: int) -> Approve:
    return Approve((content,), (number - 1,), (RESULT,))


def memory_plant() -> Plant:
    """Return a plant on the ledger in memory, mining at once."""
    ledger = MemoryLedger(automine=True, clock=SystemClock())
    names = [MemorySigner(f"verdict {number}") for number in SEATS]
    governors = [MemorySigner(f"governance {number}") for number in SEATS]
    builder = MemorySigner("builder")
    for number, verdict, governor in zip(SEATS, names, governors, strict=True):
        ledger.add_organisation(number, verdict.address, governor.address)
    ledger.add_builder(builder.address)
    ledger.add_detector(DETECTOR)
    ledger.add_device(ASSET, DEVICE)
    version = ledger.register_version(ASSET, SEATS, 1, 3, emergency_cap=1_000_00, emergency_max=2)

    def fresh() -> Content:
        evidence = time.time_ns().to_bytes(32)
        return Content(
            evidence=ids.EvidenceId(evidence),
            dataset_root=ids.DatasetRoot(evidence),
            order_digest=ids.OrderDigest(evidence),
            asset_version=version,
            detector=DETECTOR,
            builder=builder.address,
            cost=100_00,
            deadline=int(time.time()) + 3600,
            attempt=1,
        )

    stranger = MemorySigner("stranger")
    return Plant(ledger, version, builder, stranger, names, governors, fresh, lambda: None)


def founded_plant(founded: Founded) -> Plant:
    """Return a plant on a real chain."""
    ledger = founded.ledger()
    return Plant(
        ledger=ledger,
        version=founded.version,
        builder=founded.builder,
        stranger=founded.stranger,
        verdicts=[founded.verdict(number) for number in SEATS],
        governors=founded.governors(),
        fresh=founded.content,
        close=ledger.close,
    )
