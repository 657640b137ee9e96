from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from ledger_service import ports
from ledger_service.domain import errors, facts, ids
from ledger_service.domain.calls import Signed
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Earlier, TxState
from tests.conformance import rows as make

ORDER = ids.OrderId(make.word("order", 1))


async def follow(store: ports.Store, *numbers: int) -> None:
    """Take blocks in, each in its transaction."""
    for number in numbers:
        async with store.transaction() as rows:
            await rows.chain.advance(make.block(number), await rows.chain.cursor())


async def test_the_cursor_is_the_last_block_taken_in(store: ports.Store) -> None:
    async with store.reading() as rows:
        assert await rows.chain.cursor() is None
    await follow(store, 5, 6)

    async with store.reading() as rows:
        assert await rows.chain.cursor() == make.block(6)
        assert await rows.chain.block(5) == make.block(5)
        assert await rows.chain.block(4) is None


@pytest.mark.parametrize(
    "believed",
    [None, make.block(5), make.block(6, fork=1), make.block(9)],
    ids=["none", "behind", "other hash", "ahead"],
)
async def test_a_cursor_elsewhere_is_not_moved(
    store: ports.Store, believed: facts.Block | None
) -> None:
    await follow(store, 5, 6)

    async def take(wanted: facts.Block) -> None:
        async with store.transaction() as rows:
            await rows.chain.add_fact(make.fact(7))
            await rows.chain.advance(wanted, believed)

    for wanted in (make.block(6), make.block(7)):
        with pytest.raises(errors.CursorMoved):
            await take(wanted)

    async with store.reading() as rows:
        assert await rows.chain.cursor() == make.block(6)
        assert await rows.chain.facts(ORDER) == []


async def test_a_cursor_that_is_not_there_is_not_moved(store: ports.Store) -> None:
    with pytest.raises(errors.CursorMoved):
        async with store.transaction() as rows:
            await rows.chain.advance(make.block(7), make.block(6))

    async with store.reading() as rows:
        assert await rows.chain.cursor() is None
        assert await rows.chain.block(7) is None


def every_event() -> list[facts.Event]:
    who: dict[str, Any] = {"order": ORDER, "key": make.SIGNER, "organisation": 255, "seat": 63}
    return [
        facts.Proposed(ORDER, make.order(1).content),
        facts.Approved(**who, result=ids.ResultDigest(make.word("result", 1))),
        facts.Refused(**who, reason=7, detail=make.word("detail", 1)),
        facts.CancellationVoted(**who),
        facts.Moved(ORDER, Status.EMERGENCY, make.SIGNER, bytes(32)),
        facts.Skipped(ORDER, 9, 2**256 - 1, 2**64),
    ]


async def test_every_event_comes_back_in_chain_order(store: ports.Store) -> None:
    told = [
        facts.Fact(make.place(5 + at // 3, log=at % 3, transaction=at % 2), event)
        for at, event in enumerate(every_event())
    ]
    async with store.transaction() as rows:
        assert all([await rows.chain.add_fact(item) for item in reversed(told)])
        assert not await rows.chain.add_fact(told[0])
        await rows.chain.add_fact(make.fact(5, log=9, of=2))

    async with store.reading() as rows:
        found = list(await rows.chain.facts(ORDER))
        assert found == sorted(told, key=lambda item: item.place.id)
        assert repr(found) == repr(sorted(told, key=lambda item: item.place.id))  # types as well


async def test_proofs_come_in_chain_order_and_the_first_stays(store: ports.Store) -> None:
    async with store.transaction() as rows:
        for number in (9, 7):
            await rows.chain.add_proof(make.proof(number))
        await rows.chain.add_proof(replace(make.proof(7), header={}))
        await rows.chain.add_proof(make.proof(8, of=2))

    async with store.reading() as rows:
        assert list(await rows.chain.proofs(ORDER)) == [make.proof(7), make.proof(9)]


async def test_a_stored_transaction_comes_back_by_purpose(store: ports.Store) -> None:
    item = make.outgoing(3, earlier=(Earlier(make.outgoing(9).hash, void=True),))
    async with store.transaction() as rows:
        await rows.outgoing.add(item)
        await rows.outgoing.sent([item.key], make.later(4), refused=False)
        await rows.outgoing.sent([item.key], make.later(9), refused=None)

    async with store.reading() as rows:
        assert await rows.outgoing.get(item.key) == replace(item, sends=2, sent_at=make.later(9))
        assert await rows.outgoing.get("propose:nothing") is None


async def test_purpose_and_nonce_are_each_used_once(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.outgoing.add(make.outgoing(3))
        with pytest.raises(errors.NonceTaken):
            await rows.outgoing.add(make.outgoing(4, nonce=3))
        with pytest.raises(errors.Conflict) as raised:
            await rows.outgoing.add(make.outgoing(5, key=make.outgoing(3).key))
        assert not isinstance(raised.value, errors.NonceTaken)
        await rows.outgoing.add(make.outgoing(6, nonce=3, signer=make.OTHER_SIGNER))

    async with store.reading() as rows:
        assert list(await rows.outgoing.unfinished(make.SIGNER)) == [make.outgoing(3)]


async def test_a_purpose_that_failed_is_tried_again_and_the_failure_is_kept(
    store: ports.Store,
) -> None:
    first, second = make.outgoing(3), make.outgoing(4, key=make.outgoing(3).key)
    async with store.transaction() as rows:
        await rows.outgoing.add(first)
        await rows.outgoing.settle([first.key], TxState.FAILED, "lost")
        await rows.outgoing.add(second)
        with pytest.raises(errors.NonceTaken):
            await rows.outgoing.add(make.outgoing(9, nonce=3))

    async with store.reading() as rows:
        assert await rows.outgoing.get(first.key) == second
        kept = await rows.outgoing.get(f"{first.key}~3")
    assert kept is not None
    assert (kept.hash, kept.state, kept.reason) == (first.hash, TxState.FAILED, "lost")


async def test_since_when_no_node_takes_it_is_kept_until_one_does(store: ports.Store) -> None:
    item, other = make.outgoing(3), make.outgoing(1, signer=make.OTHER_SIGNER)
    looks = []
    async with store.transaction() as rows:
        for each in (item, other, make.outgoing(5)):
            await rows.outgoing.add(each)
        await rows.outgoing.sent([other.key], make.NOW, refused=True)
        for at, refused in enumerate([None, True, None, True, False, True]):
            await rows.outgoing.sent([item.key], make.later(at), refused=refused)
            found = await rows.outgoing.get(item.key)
            assert found is not None
            looks.append(found.refused_at)

    assert looks == [None, *[make.later(1)] * 3, None, make.later(5)]
    async with store.reading() as rows:
        assert [each.nonce for each in await rows.outgoing.refused()] == [1, 3]
    async with store.transaction() as rows:
        await rows.outgoing.settle([item.key], TxState.MINED)
        assert [each.nonce for each in await rows.outgoing.refused()] == [1]


async def test_bytes_are_signed_anew_once_and_the_earlier_hashes_stay(store: ports.Store) -> None:
    item = make.outgoing(3)
    signed = [Signed(b"new %d" % n, make.outgoing(n).hash, item.signer, 3) for n in (20, 21)]
    async with store.transaction() as rows:
        await rows.outgoing.add(item)
        await rows.outgoing.sent([item.key], make.NOW, refused=True)
        await rows.outgoing.sign_anew(item, signed[0], void=False, why="dear")
        with pytest.raises(errors.Conflict):
            await rows.outgoing.sign_anew(item, signed[1], void=True, why="late")
        found = await rows.outgoing.get(item.key)
        assert found is not None
        await rows.outgoing.sign_anew(found, signed[1], void=True, why="refused")

    earlier = (Earlier(item.hash, void=False), Earlier(signed[0].hash, void=False))
    async with store.transaction() as rows:
        (found,) = await rows.outgoing.unfinished(item.signer)
        assert found == replace(
            item, raw=b"new 21", hash=signed[1].hash, void=True, reason="refused", earlier=earlier
        )
        await rows.outgoing.settle([item.key], TxState.MINED)
        with pytest.raises(errors.Conflict):
            await rows.outgoing.sign_anew(found, signed[0], void=False, why="too late")


async def test_what_is_settled_is_not_unfinished_and_the_rest_comes_by_nonce(
    store: ports.Store,
) -> None:
    async with store.transaction() as rows:
        for number in (10, 2, 9, 3):
            await rows.outgoing.add(make.outgoing(number))
        await rows.outgoing.settle([make.outgoing(2).key], TxState.MINED)
        await rows.outgoing.settle([make.outgoing(9).key], TxState.FAILED, "reverted")
        await rows.outgoing.settle(["propose:nothing"], TxState.MINED)

    async with store.reading() as rows:
        waiting = await rows.outgoing.unfinished(make.SIGNER)
        assert [item.nonce for item in waiting] == [3, 10]
        failed = await rows.outgoing.get(make.outgoing(9).key)
        assert failed == replace(make.outgoing(9), state=TxState.FAILED, reason="reverted")
        mined = await rows.outgoing.get(make.outgoing(2).key)
        assert mined == replace(make.outgoing(2), state=TxState.MINED)


async def test_nonces_count_up_from_what_the_chain_says(store: ports.Store) -> None:
    async with store.transaction() as rows:
        first = [await rows.outgoing.next_nonce(make.SIGNER, 7) for _ in range(3)]
        other = await rows.outgoing.next_nonce(make.OTHER_SIGNER, 0)
        behind = await rows.outgoing.next_nonce(make.SIGNER, 2)
        ahead = await rows.outgoing.next_nonce(make.SIGNER, 40)

    assert (first, other, behind, ahead) == ([7, 8, 9], 0, 10, 40)


async def test_tokens_are_found_by_digest_until_the_end_of_time(store: ports.Store) -> None:
    items = [make.token(1), make.token(2, expires_at=make.later(60))]
    async with store.transaction() as rows:
        for item in items:
            await rows.tokens.add(item)
        assert await rows.tokens.revoke("token-1", make.later(9))
        assert not await rows.tokens.revoke("token-1", make.later(10))
        assert not await rows.tokens.revoke("token-9", make.later(10))

    async with store.reading() as rows:
        revoked = replace(items[0], revoked_at=make.later(9))
        assert await rows.tokens.by_digest(items[0].digest) == revoked
        assert await rows.tokens.by_digest(make.word("digest", 9)) is None
        assert list(await rows.tokens.list()) == [items[1], revoked]


async def test_tokens_of_one_moment_are_listed_by_name(store: ports.Store) -> None:
    async with store.transaction() as rows:
        for number in (3, 1, 2):
            await rows.tokens.add(make.token(number, created_at=make.NOW))

    async with store.reading() as rows:
        names = [item.id for item in await rows.tokens.list()]
    assert names == ["token-1", "token-2", "token-3"]


async def test_a_token_is_made_once(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.tokens.add(make.token(1))
        for clash in (make.token(2, id="token-1"), make.token(2, digest=make.token(1).digest)):
            with pytest.raises(errors.Conflict):
                await rows.tokens.add(clash)

    async with store.reading() as rows:
        assert list(await rows.tokens.list()) == [make.token(1)]


def proposed(number: int, *, log: int = 0) -> facts.Fact:
    order = make.order(number)
    return facts.Fact(make.place(5, log), facts.Proposed(order.id, order.content))


async def test_a_stray_is_a_builders_proposal_without_a_row_of_its_order(
    store: ports.Store,
) -> None:
    await follow(store, 5)
    known, first, second = (proposed(number, log=number) for number in (1, 2, 3))
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))
        await rows.orders.add(make.order(1))
        for item in (second, known, first, make.fact(5, log=9)):
            await rows.chain.add_fact(item)

    async with store.reading() as rows:
        assert await rows.chain.strays(make.SIGNER, None) == [first.event, second.event]
        assert await rows.chain.strays(make.SIGNER, make.evidence(3).id) == [second.event]
        assert await rows.chain.strays(make.OTHER_SIGNER, None) == []


async def test_who_holds_the_cursor_writes_before_the_next_block_is_taken_in(
    store: ports.Store,
) -> None:
    await follow(store, 5)
    held, seen = asyncio.Event(), []

    async def adopt() -> None:
        async with store.transaction() as rows:
            await rows.chain.hold()
            held.set()
            await asyncio.sleep(0.2)
            await rows.evidence.add(make.evidence(1))

    async def take_in() -> None:
        await held.wait()
        async with store.transaction() as rows:
            await rows.chain.advance(make.block(6), make.block(5))
            seen.append((await rows.evidence.get(make.evidence(1).id)).id)

    await asyncio.gather(adopt(), take_in())

    assert seen == [make.evidence(1).id]


async def test_an_end_is_that_of_one_nonce_and_touches_no_later_try_of_its_purpose(
    store: ports.Store,
) -> None:
    first = make.outgoing(3)
    second = make.outgoing(4, key=first.key)
    async with store.transaction() as rows:
        await rows.outgoing.add(first)
    async with store.transaction() as rows:
        assert await rows.outgoing.end(first, TxState.FAILED, "lost")
        await rows.outgoing.add(second)

    async with store.transaction() as rows:  # who judged the first try too, and comes later
        assert not await rows.outgoing.end(first, TxState.FAILED, "lost")

    async with store.transaction() as rows:
        assert await rows.outgoing.unfinished(make.SIGNER) == [second]
        assert await rows.outgoing.end(second, TxState.MINED)
        assert not await rows.outgoing.end(second, TxState.FAILED, "late")
        assert await rows.outgoing.get(second.key) == replace(second, state=TxState.MINED)
        assert await rows.outgoing.at(make.SIGNER, 3) == replace(
            first, key=f"{first.key}~3", state=TxState.FAILED, reason="lost"
        )


async def test_the_same_nonce_of_another_key_is_another_transaction(store: ports.Store) -> None:
    ours, other = make.outgoing(3), make.outgoing(4, nonce=3, signer=make.OTHER_SIGNER)
    async with store.transaction() as rows:
        await rows.outgoing.add(other, ours)

    async with store.transaction() as rows:
        assert await rows.outgoing.at(make.SIGNER, 3) == ours
        assert await rows.outgoing.at(make.OTHER_SIGNER, 3) == other
        assert await rows.outgoing.end(ours, TxState.MINED)
        assert await rows.outgoing.unfinished(make.OTHER_SIGNER) == [other]
