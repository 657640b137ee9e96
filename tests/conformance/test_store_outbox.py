from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ledger_service import ports
from ledger_service.domain.records import Delivery, DeliveryState
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


async def done(store: ports.Store, item: Delivery, owner: str = "me") -> bool:
    async with store.transaction() as rows:
        return await rows.outbox.done(item.dedup, owner, {"id": item.dedup})


async def test_a_delivery_comes_back_as_it_was_put_in(store: ports.Store) -> None:
    item = make.delivery(1)
    async with store.transaction() as rows:
        assert await rows.outbox.add(item)
        assert not await rows.outbox.add(replace(item, payload={}))

    async with store.reading() as rows:
        assert list(await rows.outbox.of_order("a")) == [replace(item, due=item.created_at)]


async def test_rows_of_one_key_are_claimed_in_chain_order_only(store: ports.Store) -> None:
    await add(store, *(make.delivery(number) for number in (3, 1, 2)))

    for number in (1, 2, 3):
        claimed = await claim(store)
        assert numbers(claimed) == [number]
        assert await claim(store) == []
        assert await done(store, claimed[0])
    assert await claim(store) == []


async def test_keys_and_destinations_do_not_wait_for_each_other(store: ports.Store) -> None:
    await add(
        store,
        make.delivery(1, key="a"),
        make.delivery(2, key="b"),
        make.delivery(3, key="a"),
        make.delivery(1, key="a", to="erp"),
        make.delivery(4, key="c"),
    )

    assert numbers(await claim(store, limit=2)) == [1, 2]
    assert numbers(await claim(store, limit=2)) == [4]
    assert numbers(await claim(store, to="erp")) == [1]


async def test_a_claim_counts_the_attempt_and_leases(store: ports.Store) -> None:
    await add(store, make.delivery(1))

    (first,) = await claim(store, "me")
    assert (first.attempts, first.state) == (1, DeliveryState.PENDING)
    assert await claim(store, "other", at=LEASE - 1) == []


async def test_a_lease_that_ran_out_goes_to_another_and_the_first_changes_nothing(
    store: ports.Store,
) -> None:
    await add(store, make.delivery(1))
    await claim(store, "slow")

    (taken,) = await claim(store, "quick", at=LEASE)

    assert taken.attempts == 2
    assert not await done(store, taken, "slow")
    async with store.transaction() as rows:
        assert not await rows.outbox.retry(taken.dedup, "slow", make.later(0), "slow")
        assert not await rows.outbox.block(taken.dedup, "slow", "slow")
    assert await done(store, taken, "quick")
    assert not await done(store, taken, "quick")


async def test_what_is_done_keeps_its_reference(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store)
    async with store.transaction() as rows:
        assert await rows.outbox.done(item.dedup, "me", {"number": "PO 7", "at": {"line": 1}})

    async with store.reading() as rows:
        (found,) = await rows.outbox.of_order("a")
    assert found.state is DeliveryState.DONE
    assert found.reference == {"number": "PO 7", "at": {"line": 1}}


async def test_a_row_given_back_waits_until_it_is_due_and_holds_its_key(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2))
    (item,) = await claim(store)
    async with store.transaction() as rows:
        assert await rows.outbox.retry(item.dedup, "me", make.later(30), "no \x00 answer")

    assert await claim(store, at=29) == []
    (again,) = await claim(store, at=30)
    assert (numbers([again]), again.attempts) == ([1], 2)
    assert again.reason.startswith("no ")


async def test_a_blocked_row_is_visible_and_later_ones_of_its_key_wait(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2), make.delivery(3, key="b"))
    (item, _) = await claim(store)
    async with store.transaction() as rows:
        assert await rows.outbox.block(item.dedup, "me", "unknown supplier")

    assert await claim(store, at=LEASE) != []
    assert numbers(await claim(store, at=LEASE)) == []
    async with store.reading() as rows:
        counts = await rows.outbox.counts()
        assert counts == {("documents", "blocked"): 1, ("documents", "pending"): 2}
        first, second = await rows.outbox.of_order("a")
    assert (first.state, first.reason) == (DeliveryState.BLOCKED, "unknown supplier")
    assert second.state is DeliveryState.PENDING


async def test_a_release_makes_blocked_rows_due_at_once(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2)))
    for item in await claim(store):
        async with store.transaction() as rows:
            await rows.outbox.block(item.dedup, "me", "refused")

    async with store.transaction() as rows:
        assert await rows.outbox.release("erp") == 0
        assert await rows.outbox.release("documents", make.delivery(2).dedup) == 1
    assert numbers(await claim(store)) == [2]
    async with store.transaction() as rows:
        assert await rows.outbox.release("documents") == 1
    assert numbers(await claim(store)) == [1]


async def test_a_replay_delivers_all_of_a_key_again_in_order(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2), make.delivery(3, key="b"))
    for _ in (1, 2):
        for item in await claim(store):
            if item.key == "a":
                assert await done(store, item)

    async with store.transaction() as rows:
        assert await rows.outbox.replay("documents", "a") == 2

    (first,) = await claim(store)
    assert (numbers([first]), first.attempts) == ([1], 1)
    assert await done(store, first)
    assert numbers(await claim(store)) == [2]


async def test_a_replay_takes_a_lease_away(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store, "slow")

    async with store.transaction() as rows:
        await rows.outbox.replay("documents", "a")

    assert numbers(await claim(store, "quick")) == [1]
    assert not await done(store, item, "slow")


async def test_a_pause_lasts_until_it_is_ended(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(1, to="erp"))
    for _ in (1, 2):
        async with store.transaction() as rows:
            await rows.outbox.pause("documents", True)

    assert await claim(store) == []
    assert numbers(await claim(store, to="erp")) == [1]
    async with store.reading() as rows:
        assert await rows.outbox.paused() == {"documents"}
    for _ in (1, 2):
        async with store.transaction() as rows:
            await rows.outbox.pause("documents", False)
    assert numbers(await claim(store)) == [1]


async def test_the_deliveries_of_a_key_come_in_order_for_all_destinations(
    store: ports.Store,
) -> None:
    await add(
        store,
        make.delivery(2),
        make.delivery(1, to="erp"),
        make.delivery(1),
        make.delivery(9, key="b"),
    )

    async with store.reading() as rows:
        found = await rows.outbox.of_order("a")
    assert [(item.payload["number"], item.destination) for item in found] == [
        (1, "documents"),
        (1, "erp"),
        (2, "documents"),
    ]
