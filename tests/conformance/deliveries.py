from __future__ import annotations

from collections.abc import Sequence

from ledger_service import ports
from ledger_service.domain.records import Delivery, DeliveryState, Outcome
from tests.conformance import rows as make

LEASE = 60.0


async def add(store: ports.Store, *items: Delivery) -> None:
    async with store.transaction() as rows:
        for item in items:
            assert await rows.outbox.add(item)


async def claim(
    store: ports.Store, owner: str = "me", *, at: float = 0, limit: int = 9, to: str = "documents"
) -> list[Delivery]:
    async with store.transaction() as rows:
        found: Sequence[Delivery] = await rows.outbox.claim(
            to, owner, make.later(at), make.later(at + LEASE), limit
        )
    return list(found)


def numbers(items: Sequence[Delivery]) -> list[object]:
    return [item.payload["number"] for item in items]


async def settle(store: ports.Store, *outcomes: Outcome) -> list[bool]:
    async with store.transaction() as rows:
        return list(await rows.outbox.settle(outcomes))


async def done(store: ports.Store, item: Delivery) -> bool:
    (ours,) = await settle(store, make.outcome(item, reference={"id": item.dedup}))
    return ours


async def later(store: ports.Store, item: Delivery, seconds: float, why: str = "") -> bool:
    due = make.later(seconds)
    (ours,) = await settle(
        store, make.outcome(item, state=DeliveryState.PENDING, due=due, reason=why)
    )
    return ours


async def block(store: ports.Store, item: Delivery, why: str = "refused") -> bool:
    (ours,) = await settle(store, make.outcome(item, state=DeliveryState.BLOCKED, reason=why))
    return ours
