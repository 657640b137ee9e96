from __future__ import annotations

import pytest

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import MOVES, Status
from ledger_service.domain.records import Announcement, Move, Result
from ledger_service.domain.result import result_digest
from tests.conformance import rows as make


@pytest.fixture
async def holding(store: ports.Store) -> ports.Store:
    """A store with five pieces of evidence, for orders to belong to."""
    async with store.transaction() as rows:
        for number in range(1, 6):
            await rows.evidence.add(make.evidence(number))
    return store


async def test_an_order_comes_back_as_it_was_built(holding: ports.Store) -> None:
    item = make.order(1)

    async with holding.transaction() as rows:
        await rows.orders.add(item)
    async with holding.reading() as rows:
        assert await rows.orders.get(item.id) == item


async def test_the_same_order_again_changes_nothing(holding: ports.Store) -> None:
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1))
        await rows.orders.move(Move(make.order(1).id, Status.PROPOSED, 4))
        await rows.orders.add(make.order(1, document=b"other"))

    async with holding.reading() as rows:
        found = await rows.orders.get(make.order(1).id)
        assert (found.status, found.block, found.document) == (
            Status.PROPOSED,
            4,
            make.order(1).document,
        )


async def test_an_attempt_is_one_order_until_its_proposal_had_no_effect(
    holding: ports.Store,
) -> None:
    source = make.evidence(1)
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1))
        with pytest.raises(errors.Conflict):
            await rows.orders.add(make.order(7, of=source))
        await rows.orders.add(make.order(8, of=source, attempt=2))
        await rows.orders.void(make.order(1).id)
        await rows.orders.add(make.order(7, of=source))

    async with holding.reading() as rows:
        found = [item.id for item in await rows.orders.of_evidence(source.id)]
    assert found == [make.order(number).id for number in (1, 8, 7)]


async def test_orders_are_found_by_evidence_by_dataset_and_by_state(holding: ports.Store) -> None:
    source = make.evidence(1)
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1))
        await rows.orders.add(make.order(7, of=source, attempt=2))
        await rows.orders.add(make.order(2, status=Status.VALIDATED, block=3))
        await rows.orders.add(make.order(3, asset="1/press-2"))

    async with holding.reading() as rows:
        attempts = [item.id for item in await rows.orders.of_evidence(source.id)]
        assert attempts == [make.order(1).id, make.order(7).id]
        assert [item.id for item in await rows.orders.of_dataset(source.dataset_root)] == attempts
        newest = [item.id for item in await rows.orders.list(limit=2)]
        assert newest == [make.order(3).id, make.order(2).id]
        validated = await rows.orders.list(limit=9, status=Status.VALIDATED)
        assert [item.id for item in validated] == [make.order(2).id]
        presses = await rows.orders.list(limit=9, asset="1/press-2", status=Status.NONE)
        assert [item.id for item in presses] == [make.order(3).id]


async def test_an_order_is_found_by_the_first_digits_of_its_id(holding: ports.Store) -> None:
    orders = [make.order(number) for number in (1, 2, 3)]
    async with holding.transaction() as rows:
        for order in orders:
            await rows.orders.add(order)

    async with holding.reading() as rows:
        for order in orders:
            for length in (14, 15, 31, 64):
                found = await rows.orders.beginning(order.id.hex()[:length])
                assert [item.id for item in found] == [order.id]
        shared = orders[0].id.hex()[:11]
        assert len(await rows.orders.beginning(shared)) == 2
        assert await rows.orders.beginning("f" + shared) == []


async def test_open_orders_are_gone_through_page_by_page(holding: ports.Store) -> None:
    async with holding.transaction() as rows:
        for number in (3, 1, 5, 2, 4):
            await rows.orders.add(make.order(number, status=Status.PROPOSED, block=1))
        await rows.orders.move(Move(make.order(5).id, Status.REFUSED, 2))

    async with holding.transaction() as rows:
        first = await rows.orders.opened(2)
        assert [item.id for item in first] == [make.order(number).id for number in (3, 1)]
        await rows.orders.move(Move(first[-1].id, Status.REFUSED, 3))
        rest = await rows.orders.opened(9, first[-1].id)
        assert [item.id for item in rest] == [make.order(number).id for number in (2, 4)]
        assert await rows.orders.opened(9, rest[-1].id) == []
        several = await rows.orders.of_evidence(make.evidence(2).id, make.evidence(3).id)
        assert {item.id for item in several} == {make.order(2).id, make.order(3).id}
        assert await rows.orders.of_evidence() == []


async def test_a_status_moves_by_the_table_and_never_back(holding: ports.Store) -> None:
    order = make.order(1).id
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1))
    for present in Status:
        for wanted in Status:
            async with holding.transaction() as rows:
                await rows.orders.reset(order, present, 1)
            allowed = wanted in MOVES[present]
            try:
                async with holding.transaction() as rows:
                    await rows.orders.move(Move(order, wanted, 2, "because"))
            except errors.IllegalMove:
                assert not allowed, (present, wanted)
            else:
                assert allowed, (present, wanted)
            async with holding.reading() as rows:
                found = await rows.orders.get(order)
            expected = (wanted, 2, "because") if allowed else (present, 1, "")
            assert (found.status, found.block, found.reason) == expected


async def test_an_order_that_is_not_there_does_not_move(store: ports.Store) -> None:
    with pytest.raises(errors.NotFound):
        async with store.transaction() as rows:
            await rows.orders.move(Move(make.order(1).id, Status.PROPOSED, 1))


async def test_a_rewind_may_set_any_state_and_no_block(holding: ports.Store) -> None:
    order = make.order(1).id
    async with holding.transaction() as rows:
        await rows.orders.add(make.order(1, status=Status.REFUSED, block=9, reason="cost"))
        await rows.orders.reset(order, Status.NONE, None)

    async with holding.reading() as rows:
        found = await rows.orders.get(order)
        assert (found.status, found.block, found.reason) == (Status.NONE, None, "")


async def test_results_come_by_organisation(store: ports.Store) -> None:
    order = ids.OrderId(make.word("order", 1))
    async with store.transaction() as rows:
        for organisation in (3, 1, 3):
            await rows.orders.add_result(Result(order, organisation, b"{%d}" % organisation))

    async with store.reading() as rows:
        assert list(await rows.orders.results(order)) == [
            Result(order, 1, b"{1}"),
            Result(order, 3, b"{3}"),
        ]


async def test_results_of_many_orders_are_kept_and_read_at_once(store: ports.Store) -> None:
    first, second, third = (ids.OrderId(make.word("order", number)) for number in (1, 2, 3))
    items = [Result(order, 1, b"{%d}" % at) for at, order in enumerate((first, second, third))]
    async with store.transaction() as rows:
        await rows.orders.add_result()
        await rows.orders.add_result(*items, items[0])

    async with store.reading() as rows:
        found = await rows.orders.results(first, third, first)
        assert set(found) == {items[0], items[2]}
        assert len(found) == 2
        assert await rows.orders.results() == []


async def test_another_result_of_an_organisation_takes_no_place_of_an_earlier_one(
    store: ports.Store,
) -> None:
    order = ids.OrderId(make.word("order", 1))
    documents = [b"{%d}" % number for number in range(3)]
    for document in (*documents, documents[0]):
        async with store.transaction() as rows:
            await rows.orders.add_result(Result(order, 1, document))

    async with store.reading() as rows:
        found = [item.document for item in await rows.orders.results(order)]
    assert found == sorted(documents, key=result_digest)


async def test_the_feed_has_one_announcement_for_each_kind_and_order(store: ports.Store) -> None:
    orders = [make.order(number).id for number in (1, 2)]
    async with store.transaction() as rows:
        sequences = [
            await rows.orders.announce(kind, order, {"n": at})
            for at, (kind, order) in enumerate(
                [
                    ("order", orders[0]),
                    ("order", orders[0]),
                    ("close-out", orders[0]),
                    ("order", orders[1]),
                ]
            )
        ]

    assert sequences == [1, 1, 2, 3]
    async with store.reading() as rows:
        assert list(await rows.orders.announcements(0, 9)) == [
            Announcement(1, "order", orders[0], {"n": 0}),
            Announcement(2, "close-out", orders[0], {"n": 2}),
            Announcement(3, "order", orders[1], {"n": 3}),
        ]
        assert [item.sequence for item in await rows.orders.announcements(1, 1)] == [2]
        told = await rows.orders.told("close-out", orders[0])
        assert told == Announcement(2, "close-out", orders[0], {"n": 2})
        assert await rows.orders.told("close-out", orders[1]) is None
        assert await rows.orders.announcements(3, 9) == []


async def test_an_announcement_rolled_back_leaves_no_gap(store: ports.Store) -> None:
    async def announce_and_fail() -> None:
        async with store.transaction() as rows:
            await rows.orders.announce("order", make.order(1).id, {})
            await rows.orders.get(make.order(1).id)

    with pytest.raises(errors.NotFound):
        await announce_and_fail()
    async with store.transaction() as rows:
        assert await rows.orders.announce("order", make.order(2).id, {}) == 1
