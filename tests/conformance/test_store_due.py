from __future__ import annotations

from ledger_service import ports
from ledger_service.domain.records import Circuit
from tests.conformance import rows as make
from tests.conformance.deliveries import LEASE, add, block, claim, done, later

BOTH = ("documents", "erp")


async def due(store: ports.Store, at: float = 0) -> set[str]:
    async with store.reading() as rows:
        return set(await rows.outbox.due(BOTH, make.later(at)))


async def test_a_destination_is_due_while_a_claim_would_find_something(store: ports.Store) -> None:
    assert await due(store) == set()
    await add(store, make.delivery(1), make.delivery(2), make.delivery(1, to="elsewhere"))
    assert await due(store) == {"documents"}

    (first,) = await claim(store)
    assert await due(store) == set()  # the second waits for the first, which somebody has
    assert await due(store, LEASE) == {"documents"}
    await later(store, first, 5)
    assert await due(store, 4) == set()
    assert await due(store, 5) == {"documents"}

    (first,) = await claim(store, at=5)
    await block(store, first)
    assert await due(store, 9) == set()


async def test_each_destination_is_due_for_itself(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(1, to="erp"))
    assert await due(store) == {"documents", "erp"}

    await done(store, (await claim(store))[0])

    assert await due(store) == {"erp"}


async def test_who_is_paused_or_left_alone_is_not_due(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(1, to="erp"))
    async with store.transaction() as rows:
        await rows.outbox.pause("documents", paused=True)
        await rows.circuits.put(Circuit("erp", 5, make.NOW, make.NOW, make.later(9), "away"))
    assert await due(store, 8) == set()

    assert await due(store, 9) == {"erp"}
    async with store.transaction() as rows:
        await rows.outbox.pause("documents", paused=False)
        await rows.circuits.put(Circuit("erp", 1, make.NOW, None, None, "once"))
    assert await due(store) == {"documents", "erp"}
