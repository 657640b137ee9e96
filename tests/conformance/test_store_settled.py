from __future__ import annotations

from dataclasses import replace

from ledger_service import ports
from ledger_service.domain.records import Circuit, DeliveryState
from tests.conformance import rows as make
from tests.conformance.deliveries import add, block, claim, done, settle


async def test_old_payloads_go_and_their_facts_are_still_known(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2, 3, 4)))
    first, second, third, _ = await claim(store)
    await done(store, first)
    await settle(store, replace(make.outcome(second), at=make.later(9)))
    await block(store, third)

    async with store.transaction() as rows:
        assert await rows.outbox.prune(make.later(9), 9) == 1
        assert await rows.outbox.prune(make.later(9), 9) == 0
        assert not await rows.outbox.add(make.delivery(1, key="1"))
        assert await rows.outbox.replay("documents", "1") == 0

    async with store.reading() as rows:
        found = [(await rows.outbox.of_order(key))[0] for key in "1234"]
    assert [bool(item.payload) for item in found] == [False, True, True, True]
    assert found[0].payload == {}
    assert found[0].reference == {"id": first.dedup}
    assert found[0].state is DeliveryState.DONE


async def test_old_payloads_go_a_few_at_a_time(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in range(5)))
    await settle(store, *(make.outcome(item) for item in await claim(store)))

    for count in (2, 2, 1, 0):
        async with store.transaction() as rows:
            assert await rows.outbox.prune(make.later(1), 2) == count


async def test_a_destination_that_does_not_answer_is_remembered_until_it_does(
    store: ports.Store,
) -> None:
    first = Circuit("erp", 1, make.later(0), reason="away \x00")
    held = replace(first, failures=6, held_at=make.later(1), until=make.later(2), reason="away")
    async with store.transaction() as rows:
        assert await rows.circuits.get("erp") is None
        await rows.circuits.put(first)
        await rows.circuits.put(held)
        await rows.circuits.put(replace(first, destination="documents", reason=""))

    async with store.reading() as rows:
        assert [item.destination for item in await rows.circuits.all()] == ["documents", "erp"]
    async with store.transaction() as rows:
        assert await rows.circuits.get("erp") == held
        assert await rows.circuits.drop("erp")
        assert not await rows.circuits.drop("erp")
        assert await rows.circuits.get("erp") is None


async def test_what_is_over_or_blocked_takes_no_place_of_what_waits(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2, 3)))
    first, second, third = await claim(store)
    await done(store, first)
    await block(store, second)
    await settle(store, make.outcome(third, state=DeliveryState.DEAD))
    await add(store, make.delivery(4, key="4"))

    (found,) = await claim(store, limit=1)

    assert found.key == "4"
