from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Move
from tests.conformance import rows as make

TASKS = 50


class GivenUp(Exception):
    """What a test raises inside a transaction."""


async def test_what_raises_leaves_nothing(store: ports.Store) -> None:
    async def give_up() -> None:
        async with store.transaction() as rows:
            await rows.evidence.add(make.evidence(1))
            await rows.outgoing.next_nonce(make.SIGNER, 7)
            await rows.outbox.pause("erp", True)
            raise GivenUp

    with pytest.raises(GivenUp):
        await give_up()

    async with store.transaction() as rows:
        assert await rows.evidence.list(limit=9) == []
        assert await rows.outgoing.next_nonce(make.SIGNER, 7) == 7
        assert await rows.outbox.paused() == frozenset()


async def test_what_is_cancelled_leaves_nothing_and_blocks_nobody(store: ports.Store) -> None:
    inside = asyncio.Event()

    async def hang() -> None:
        async with store.transaction() as rows:
            await rows.evidence.add(make.evidence(1))
            inside.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(hang())
    await inside.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    async with asyncio.timeout(10), store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))


async def test_who_is_cancelled_while_waiting_for_its_turn_holds_nothing(
    store: ports.Store,
) -> None:
    async def take() -> int:
        async with store.transaction() as rows:
            return await rows.outgoing.next_nonce(make.SIGNER, 0)

    async with store.transaction() as rows:
        await rows.outgoing.next_nonce(make.SIGNER, 0)
        waiting = [asyncio.create_task(take()) for _ in range(3)]
        await asyncio.sleep(0.3)
        for task in waiting:
            task.cancel()
    ended = await asyncio.gather(*waiting, return_exceptions=True)

    assert all(isinstance(end, asyncio.CancelledError) for end in ended)
    async with asyncio.timeout(10):
        assert await take() == 1


async def test_what_is_not_committed_is_seen_by_nobody_else(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
        async with asyncio.timeout(10), store.reading() as others:
            assert await others.evidence.list(limit=9) == []
        assert len(await rows.evidence.list(limit=9)) == 1


async def test_a_reader_keeps_its_snapshot_while_others_commit(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
    async with store.reading() as rows:
        before = await rows.evidence.list(limit=9)
        async with asyncio.timeout(10), store.transaction() as others:
            await others.evidence.add(make.evidence(2))
        assert await rows.evidence.list(limit=9) == before
        assert await rows.evidence.waiting() == 1
    async with store.reading() as rows:
        assert await rows.evidence.waiting() == 2


async def test_a_reader_never_waits_for_a_writer(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.outgoing.next_nonce(make.SIGNER, 1)
        await rows.orders.announce("order", make.order(1).id, {})
        async with asyncio.timeout(5), store.reading() as others:
            assert await others.orders.announcements(0, 9) == []
            assert await others.outbox.counts() == {}
            assert await others.chain.cursor() is None


async def test_what_is_written_while_reading_is_not_kept(store: ports.Store) -> None:
    try:
        async with store.reading() as rows:
            await rows.outbox.pause("erp", True)
    except errors.StorageError:
        pass

    async with store.transaction() as rows:
        assert await rows.outbox.paused() == frozenset()
        await rows.outbox.pause("erp", True)
    async with store.reading() as rows:
        assert await rows.outbox.paused() == {"erp"}


async def test_fifty_at_once_get_fifty_nonces_without_a_gap(store: ports.Store) -> None:
    async def take() -> int:
        async with store.transaction() as rows:
            nonce = await rows.outgoing.next_nonce(make.SIGNER, 100)
            await rows.outgoing.add(make.outgoing(nonce))
            return nonce

    taken = await asyncio.gather(*(take() for _ in range(TASKS)))

    assert sorted(taken) == list(range(100, 100 + TASKS))
    async with store.reading() as rows:
        stored = await rows.outgoing.unfinished(make.SIGNER)
    assert [item.nonce for item in stored] == list(range(100, 100 + TASKS))


async def test_a_nonce_given_back_by_a_rollback_is_used_by_the_next(store: ports.Store) -> None:
    async def take(number: int) -> int | None:
        try:
            async with store.transaction() as rows:
                nonce = await rows.outgoing.next_nonce(make.SIGNER, 0)
                if number % 3 == 0:
                    await rows.orders.get(make.order(number).id)
                await rows.outgoing.add(make.outgoing(nonce))
                return nonce
        except errors.NotFound:
            return None

    taken = [n for n in await asyncio.gather(*map(take, range(30))) if n is not None]

    assert sorted(taken) == list(range(20))


async def test_of_many_that_seal_the_same_one_wins_and_the_others_are_told_why(
    store: ports.Store,
) -> None:
    async def seal(number: int) -> str:
        changes = (
            {"sequence": 7} if number % 2 else {"dataset_root": make.evidence(99).dataset_root}
        )
        try:
            async with store.transaction() as rows:
                await rows.evidence.add(make.evidence(number, **changes))
        except errors.Conflict as exc:
            return type(exc).__name__
        return "sealed"

    told = Counter(await asyncio.gather(*map(seal, range(1, 21))))

    assert told == {"sealed": 2, "SequenceFork": 9, "DatasetReused": 9}


async def test_the_feed_has_no_gap_and_nothing_appears_behind_a_reader(store: ports.Store) -> None:
    seen: list[int] = []
    finished = asyncio.Event()

    async def announce(number: int) -> None:
        async with store.transaction() as rows:
            await rows.orders.announce("order", make.order(number).id, {})
            await asyncio.sleep(0.001 * (number % 5))
            await rows.orders.announce("order", make.order(number // 2).id, {})

    async def read() -> None:
        while True:
            ended = finished.is_set()
            async with store.reading() as rows:
                seen.extend(i.sequence for i in await rows.orders.announcements(len(seen), 7))
            if ended and seen and len(seen) == TASKS:
                return
            await asyncio.sleep(0.001)

    reader = asyncio.create_task(read())
    await asyncio.gather(*map(announce, range(TASKS)))
    finished.set()
    await asyncio.wait_for(reader, 20)

    assert seen == list(range(1, TASKS + 1))


async def test_of_many_that_move_the_cursor_each_block_is_taken_in_once(store: ports.Store) -> None:
    taken: Counter[int] = Counter()

    async def follow() -> None:
        while True:
            async with store.reading() as rows:
                cursor = await rows.chain.cursor()
            number = cursor.number + 1 if cursor else 1
            if number > 10:
                return
            try:
                async with store.transaction() as rows:
                    await rows.chain.add_fact(make.fact(number))
                    await rows.chain.advance(make.block(number), cursor)
            except errors.CursorMoved:
                continue
            taken[number] += 1

    await asyncio.gather(*(follow() for _ in range(4)))

    assert taken == dict.fromkeys(range(1, 11), 1)


async def test_an_order_pulled_two_ways_goes_one(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
        await rows.orders.add(make.order(1, status=Status.PROPOSED, block=1))

    async def pull(status: Status) -> Status | None:
        try:
            async with store.transaction() as rows:
                await rows.orders.move(Move(make.order(1).id, status, 2))
        except errors.IllegalMove:
            return None
        return status

    ways = [Status.VALIDATED, Status.REFUSED, Status.EXPIRED, Status.WITHDRAWN]
    went = [status for status in await asyncio.gather(*map(pull, ways)) if status]

    async with store.reading() as rows:
        assert [(await rows.orders.get(make.order(1).id)).status] == went


async def test_of_many_relays_each_delivery_has_one_and_keys_keep_their_order(
    store: ports.Store,
) -> None:
    keys, length = [f"key-{number}" for number in range(6)], 5
    async with store.transaction() as rows:
        for at in range(length * len(keys)):
            await rows.outbox.add(make.delivery(at, key=keys[at % len(keys)]))
    delivered: list[tuple[str, str]] = []

    async def relay(owner: str) -> None:
        while len(delivered) < length * len(keys):
            async with store.transaction() as rows:
                claimed = await rows.outbox.claim("documents", owner, make.NOW, make.later(60), 2)
            await asyncio.sleep(0)
            for item in claimed:
                delivered.append((item.key, item.dedup))
                async with store.transaction() as rows:
                    assert await rows.outbox.settle([make.outcome(item)]) == [True]
            await asyncio.sleep(0.001)

    async with asyncio.timeout(30):
        await asyncio.gather(*(relay(f"relay-{number}") for number in range(5)))

    assert len(set(delivered)) == len(delivered) == length * len(keys)
    for key in keys:
        own = [dedup for name, dedup in delivered if name == key]
        assert own == sorted(own)
