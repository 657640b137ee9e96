from __future__ import annotations

from dataclasses import replace
from typing import Any

from ledger_service import ports
from ledger_service.domain.records import DeliveryState
from tests.conformance import rows as make
from tests.conformance.deliveries import LEASE, add, block, claim, done, later, numbers, settle


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
    assert (first.attempts, first.state, first.owner) == (1, DeliveryState.PENDING, "me")
    assert await claim(store, "other", at=LEASE - 1) == []


async def test_a_lease_that_ran_out_goes_to_another_and_the_first_changes_nothing(
    store: ports.Store,
) -> None:
    await add(store, make.delivery(1))
    (slow,) = await claim(store, "slow")

    (taken,) = await claim(store, "quick", at=LEASE)

    assert taken.attempts == 2
    assert not await done(store, slow)
    assert not await later(store, slow, 0)
    assert not await block(store, slow)
    assert await done(store, taken)
    assert not await done(store, taken)


async def test_a_claim_of_the_same_process_again_fences_its_earlier_one(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (first,) = await claim(store, "me 1")
    (second,) = await claim(store, "me 2", at=LEASE)

    held = {first.dedup: first.owner}
    async with store.transaction() as rows:
        assert await rows.outbox.renew(held, make.later(3 * LEASE)) == frozenset()
    assert await settle(store, make.outcome(first), make.outcome(second)) == [False, True]


async def test_who_lost_a_lease_does_not_lengthen_that_of_who_has_it_now(
    store: ports.Store,
) -> None:
    await add(store, make.delivery(1))
    (slow,) = await claim(store, "slow")
    await claim(store, "quick", at=LEASE)

    async with store.transaction() as rows:
        held = {slow.dedup: slow.owner}
        assert await rows.outbox.renew(held, make.later(9 * LEASE)) == frozenset()

    assert numbers(await claim(store, "third", at=2 * LEASE)) == [1]


async def test_only_the_leases_that_are_named_are_lengthened(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2)))
    first, second = await claim(store)

    async with store.transaction() as rows:
        renewed = await rows.outbox.renew({first.dedup: first.owner}, make.later(2 * LEASE))

    assert renewed == {first.dedup}
    assert numbers(await claim(store, "other", at=LEASE)) == numbers([second])
    assert numbers(await claim(store, "other", at=2 * LEASE - 1)) == []
    assert numbers(await claim(store, "other", at=2 * LEASE)) == [1, 2]


async def test_what_is_finished_is_nobodys_to_renew(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store)
    await done(store, item)

    async with store.transaction() as rows:
        assert await rows.outbox.renew({item.dedup: item.owner}, make.later(LEASE)) == frozenset()


async def test_many_outcomes_of_several_claims_are_written_at_once(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2, 3, 4)))
    first, second = await claim(store, "a", limit=2)
    third, fourth = await claim(store, "b", limit=2)

    ours = await settle(
        store,
        make.outcome(third, reference={"number": 3}),
        make.outcome(first, state=DeliveryState.BLOCKED, reason="no"),
        replace(make.outcome(second), owner="b"),
        make.outcome(fourth, state=DeliveryState.PENDING, due=make.later(5), reason="away"),
    )

    assert ours == [True, True, False, True]
    assert await settle(store) == []
    async with store.reading() as rows:
        found = [(await rows.outbox.of_order(key))[0] for key in "1234"]
        assert await rows.outbox.blocked(9) == [found[0]]
    assert [item.state.value for item in found] == ["blocked", "pending", "done", "pending"]
    assert [item.reason for item in found] == ["no", "", "", "away"]
    assert found[2].reference == {"number": 3}
    assert [item.settled_at for item in found] == [None, None, make.later(0), None]
    assert [item.owner for item in found] == ["", "a", "", ""]


async def test_what_was_not_tried_is_no_attempt(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store)

    await settle(
        store, make.outcome(item, state=DeliveryState.PENDING, due=make.later(1), tried=False)
    )

    (again,) = await claim(store, at=1)
    assert again.attempts == 1


async def test_who_waited_longest_is_first_and_who_failed_last_is_last(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2, 3)))
    (first,) = await claim(store, limit=1)
    await later(store, first, 5)

    assert numbers(await claim(store, at=9, limit=1)) == [2]
    assert numbers(await claim(store, at=9, limit=1)) == [3]
    assert numbers(await claim(store, at=9, limit=1)) == [1]


async def test_what_is_done_keeps_its_reference(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store)
    reference: dict[str, Any] = {"number": "PO 7", "at": {"line": 1}}
    assert await settle(store, make.outcome(item, reference=reference)) == [True]

    async with store.reading() as rows:
        (found,) = await rows.outbox.of_order("a")
    assert found.state is DeliveryState.DONE
    assert found.reference == reference


async def test_a_row_given_back_waits_until_it_is_due_and_holds_its_key(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2))
    (item,) = await claim(store)
    assert await later(store, item, 30, "no \x00 answer")

    assert await claim(store, at=29) == []
    (again,) = await claim(store, at=30)
    assert (numbers([again]), again.attempts) == ([1], 2)
    assert again.reason.startswith("no ")


async def test_a_blocked_row_is_visible_and_later_ones_of_its_key_wait(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2), make.delivery(3, key="b"))
    (item, _) = await claim(store)
    assert await block(store, item, "unknown supplier")

    assert await claim(store, at=LEASE) != []
    assert numbers(await claim(store, at=LEASE)) == []
    async with store.reading() as rows:
        counts = await rows.outbox.counts()
        assert counts == {("documents", "blocked"): 1, ("documents", "pending"): 2}
        first, second = await rows.outbox.of_order("a")
        assert await rows.outbox.oldest() == {"documents": make.NOW}
    assert (first.state, first.reason) == (DeliveryState.BLOCKED, "unknown supplier")
    assert second.state is DeliveryState.PENDING


async def test_what_is_open_is_counted_and_dated_for_each_destination(store: ports.Store) -> None:
    await add(
        store,
        make.delivery(2, key="b", created_at=make.later(2)),
        make.delivery(1, key="a", created_at=make.later(1)),
        make.delivery(1, to="erp", created_at=make.later(3)),
        make.delivery(3, to="events", created_at=make.later(3)),
    )
    (item,) = await claim(store, to="events", at=3)
    await done(store, item)

    async with store.reading() as rows:
        assert await rows.outbox.counts() == {
            ("documents", "pending"): 2,
            ("erp", "pending"): 1,
            ("events", "done"): 1,
        }
        oldest = await rows.outbox.oldest()
    assert oldest == {"documents": make.later(1), "erp": make.later(3)}


async def test_of_what_is_blocked_the_oldest_facts_are_shown_first_and_not_too_many(
    store: ports.Store,
) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (3, 1, 2)))
    for item in await claim(store):
        await block(store, item)

    async with store.reading() as rows:
        assert numbers(await rows.outbox.blocked(2)) == [1, 2]


async def test_a_row_that_was_given_up_is_over_and_its_key_goes_on(store: ports.Store) -> None:
    await add(store, make.delivery(1), make.delivery(2))
    (item,) = await claim(store)
    await block(store, item)

    async with store.transaction() as rows:
        assert await rows.outbox.give_up("erp", item.dedup, "no", make.later(9)) is None
        ended = await rows.outbox.give_up("documents", item.dedup, "scrapped", make.later(9))
        assert ended is not None
        again = await rows.outbox.give_up("documents", item.dedup, "again", make.later(9))

    assert again is None
    assert (ended.state, ended.reason, ended.owner) == (DeliveryState.DEAD, "scrapped", "")
    assert ended.settled_at == make.later(9)
    assert numbers(await claim(store)) == [2]
    async with store.transaction() as rows:
        assert await rows.outbox.release("documents") == 0


async def test_what_somebody_holds_cannot_be_given_up(store: ports.Store) -> None:
    await add(store, make.delivery(1))
    (item,) = await claim(store)

    async with store.transaction() as rows:
        held = await rows.outbox.give_up("documents", item.dedup, "no", make.later(LEASE - 1))
        free = await rows.outbox.give_up("documents", item.dedup, "no", make.later(LEASE))

    assert held is None
    assert free is not None
    assert free.owner == ""
    assert not await done(store, item)


async def test_a_release_makes_blocked_rows_due_at_once(store: ports.Store) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2)))
    for item in await claim(store):
        await block(store, item)

    async with store.transaction() as rows:
        assert await rows.outbox.release("erp") == 0
        assert await rows.outbox.release("documents", make.delivery(2).dedup) == 1
    assert numbers(await claim(store)) == [2]
    async with store.transaction() as rows:
        assert await rows.outbox.release("documents") == 1
    assert numbers(await claim(store)) == [1]


async def test_a_destination_that_is_back_gets_what_waited_and_not_what_was_refused(
    store: ports.Store,
) -> None:
    await add(store, *(make.delivery(number, key=str(number)) for number in (1, 2)))
    first, second = await claim(store)
    await block(store, first)
    await later(store, second, 3600)

    async with store.transaction() as rows:
        assert await rows.outbox.release("documents", blocked=False) == 1
    assert numbers(await claim(store)) == [2]


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

    assert not await done(store, item)  # before anybody else has it, too
    assert numbers(await claim(store, "quick")) == [1]
    assert not await done(store, item)


async def test_a_replay_is_one_destinations_and_makes_due_at_once_what_was_to_wait(
    store: ports.Store,
) -> None:
    await add(store, make.delivery(1), make.delivery(2), make.delivery(1, to="erp"))
    (elsewhere,) = await claim(store, to="erp")
    await done(store, elsewhere)
    (first,) = await claim(store)
    await done(store, first)
    (second,) = await claim(store)
    await later(store, second, 3600)

    async with store.transaction() as rows:
        assert await rows.outbox.replay("documents", "a") == 2

    async with store.reading() as rows:
        again = [it for it in await rows.outbox.of_order("a") if it.destination == "documents"]
    assert [item.settled_at for item in again] == [None, None]
    assert await claim(store, to="erp") == []
    for number in (1, 2):
        (item,) = await claim(store)
        assert numbers([item]) == [number]
        await done(store, item)


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
