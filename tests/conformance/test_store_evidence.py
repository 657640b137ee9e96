from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.records import Hop
from tests.conformance import rows as make


async def test_evidence_comes_back_as_it_was_sealed(store: ports.Store) -> None:
    item = make.evidence(1, gap=True, sequence=2**53)

    async with store.transaction() as rows:
        await rows.evidence.add(item)
    async with store.reading() as rows:
        assert await rows.evidence.get(item.id) == item


async def test_what_is_not_there_is_named(store: ports.Store) -> None:
    async with store.reading() as rows:
        with pytest.raises(errors.NotFound):
            await rows.evidence.get(make.evidence(1).id)
        with pytest.raises(errors.NotFound):
            await rows.orders.get(make.order(1).id)
        assert await rows.evidence.latest_of(make.evidence(1).device) is None
        assert await rows.evidence.hops(make.evidence(1).id) == []


@pytest.mark.parametrize("call", ["add", "check"])
async def test_each_unique_key_of_evidence_has_its_own_error(store: ports.Store, call: str) -> None:
    first = make.evidence(1)
    async with store.transaction() as rows:
        await rows.evidence.add(first)
    clashes = [
        (replace(make.evidence(2), id=first.id), errors.Conflict),
        (make.evidence(2, sequence=1), errors.SequenceFork),
        (make.evidence(2, dataset_root=first.dataset_root), errors.DatasetReused),
        (make.evidence(2, sequence=1, dataset_root=first.dataset_root), errors.SequenceFork),
    ]
    for clash, expected in clashes:
        with pytest.raises(expected) as raised:
            async with store.transaction() as rows:
                await getattr(rows.evidence, call)(clash)
        assert type(raised.value) is expected
        assert raised.value.fields["found"] == first.id.hex()

    async with store.reading() as rows:
        assert list(await rows.evidence.list(limit=9)) == [first]


async def test_a_conflict_that_is_caught_leaves_the_transaction_whole(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
        with pytest.raises(errors.SequenceFork):
            await rows.evidence.add(make.evidence(2, sequence=1))
        await rows.evidence.add(make.evidence(3))

    async with store.reading() as rows:
        assert [item.sequence for item in await rows.evidence.list(limit=9)] == [3, 1]


async def test_checking_inserts_nothing(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.evidence.check(make.evidence(1))

    async with store.reading() as rows:
        assert await rows.evidence.list(limit=9) == []


async def test_the_same_sequence_of_another_device_is_no_fork(store: ports.Store) -> None:
    other = ids.DeviceId(make.word("device", 2))
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
        await rows.evidence.add(make.evidence(2, sequence=1, device=other))
        await rows.evidence.add(make.evidence(9, sequence=5))
        await rows.evidence.add(make.evidence(4, sequence=4))

    async with store.reading() as rows:
        latest = await rows.evidence.latest_of(make.evidence(1).device)
        assert latest is not None
        assert latest.sequence == 5


async def test_what_waits_for_an_order_comes_oldest_first(store: ports.Store) -> None:
    async with store.transaction() as rows:
        for number in (3, 1, 2, 4):
            await rows.evidence.add(make.evidence(number))
        await rows.evidence.move(make.evidence(1).id, Stage.ANCHORING, expected=Stage.SEALED)
        await rows.evidence.move(
            make.evidence(4).id, Stage.FAILED, "no \x00 plan \ud800", expected=Stage.SEALED
        )

    async with store.reading() as rows:
        assert [item.sequence for item in await rows.evidence.to_anchor(9)] == [3, 2]
        assert [item.sequence for item in await rows.evidence.to_anchor(1)] == [3]
        failed = await rows.evidence.get(make.evidence(4).id)
        assert failed.stage is Stage.FAILED
        assert failed.reason.startswith("no ")


async def test_evidence_moves_only_from_where_it_is_said_to_be(store: ports.Store) -> None:
    item = make.evidence(1)
    async with store.transaction() as rows:
        with pytest.raises(errors.Conflict):
            await rows.evidence.move(item.id, Stage.FAILED, expected=Stage.SEALED)
        await rows.evidence.add(item)
        with pytest.raises(errors.Conflict):
            await rows.evidence.move(item.id, Stage.FAILED, expected=Stage.ANCHORING)
        await rows.evidence.move(item.id, Stage.ANCHORING, expected=Stage.SEALED)

    async with store.reading() as rows:
        assert (await rows.evidence.get(item.id)).stage is Stage.ANCHORING


async def test_the_backlog_is_what_has_no_settled_order(store: ports.Store) -> None:
    async with store.transaction() as rows:
        for number in (1, 2, 3, 4):
            await rows.evidence.add(make.evidence(number))
        await rows.evidence.move(make.evidence(2).id, Stage.ANCHORING, expected=Stage.SEALED)
        await rows.evidence.move(make.evidence(3).id, Stage.ANCHORING, expected=Stage.SEALED)
        await rows.evidence.move(make.evidence(4).id, Stage.FAILED, expected=Stage.SEALED)
        await rows.orders.add(make.order(2))
        await rows.orders.add(make.order(3, status=Status.REFUSED, block=7))

    async with store.reading() as rows:
        assert await rows.evidence.waiting() == 2


@pytest.mark.parametrize(
    ("stage", "statuses", "waits"),
    [
        (Stage.SEALED, [], 1),
        (Stage.SEALED, [Status.NONE], 1),
        (Stage.SEALED, [Status.REFUSED], 0),
        (Stage.ANCHORING, [Status.NONE], 1),
        (Stage.ANCHORING, [Status.PROPOSED], 1),
        (Stage.ANCHORING, [Status.NONE, Status.PROPOSED], 1),
        (Stage.ANCHORING, [Status.REFUSED, Status.PROPOSED], 0),
        (Stage.ANCHORING, [Status.VALIDATED], 0),
        (Stage.FAILED, [], 0),
        (Stage.FAILED, [Status.NONE], 0),
    ],
)
async def test_evidence_waits_once_until_an_order_of_it_is_settled_or_it_failed(
    store: ports.Store, stage: Stage, statuses: list[Status], waits: int
) -> None:
    item, other = make.evidence(1), make.evidence(2)
    async with store.transaction() as rows:
        for each in (item, other):
            await rows.evidence.add(each)
        await rows.evidence.move(item.id, stage, expected=Stage.SEALED)
        await rows.evidence.move(other.id, Stage.ANCHORING, expected=Stage.SEALED)
        await rows.orders.add(make.order(2))
        for attempt, status in enumerate(statuses, 1):
            await rows.orders.add(
                make.order(10 + attempt, of=item, attempt=attempt, status=status, block=1)
            )

    async with store.reading() as rows:
        assert await rows.evidence.waiting() == 1 + waits


async def test_the_list_is_newest_first_and_can_be_paged_by_time(store: ports.Store) -> None:
    async with store.transaction() as rows:
        for number in range(1, 6):
            await rows.evidence.add(make.evidence(number))

    async with store.reading() as rows:
        first = await rows.evidence.list(limit=2)
        assert [item.sequence for item in first] == [5, 4]
        second = await rows.evidence.list(limit=9, before=first[-1].received_at)
        assert [item.sequence for item in second] == [3, 2, 1]


async def test_a_time_of_another_zone_is_the_same_time(store: ports.Store) -> None:
    there = make.NOW.astimezone(timezone(timedelta(hours=-7)))
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1, received_at=there))

    async with store.reading() as rows:
        found = (await rows.evidence.get(make.evidence(1).id)).received_at
        assert found == make.NOW
        assert await rows.evidence.list(limit=9, before=there) == []


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A machine whose own time is not UTC."""
    monkeypatch.setenv("TZ", "Asia/Kolkata")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
async def test_a_machine_in_another_zone_writes_and_reads_the_same_times(
    store: ports.Store,
) -> None:
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))

    async with store.reading() as rows:
        found = (await rows.evidence.get(make.evidence(1).id)).received_at
        assert (found, found.utcoffset()) == (make.later(1), timedelta(0))
        assert await rows.evidence.list(limit=9, before=make.later(1)) == []
        assert len(await rows.evidence.list(limit=9, before=make.later(2))) == 1


async def test_a_hop_that_repeats_adds_its_tries_and_keeps_its_place(store: ports.Store) -> None:
    item = make.evidence(1)
    async with store.transaction() as rows:
        await rows.evidence.add(item)
        await rows.evidence.hop(Hop(item.id, "sealed", make.NOW))
        await rows.evidence.hop(Hop(item.id, "sent", make.later(1), detail="refused"))
        await rows.evidence.hop(Hop(item.id, "sealed", make.later(2), tries=2, detail="again"))

    async with store.reading() as rows:
        assert list(await rows.evidence.hops(item.id)) == [
            Hop(item.id, "sealed", make.later(2), 3, "again"),
            Hop(item.id, "sent", make.later(1), 1, "refused"),
        ]
