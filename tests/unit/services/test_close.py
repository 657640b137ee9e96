from __future__ import annotations

import asyncio
import hashlib
from dataclasses import replace

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Expire
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.records import Order, Result
from ledger_service.domain.result import SALT_BYTES
from ledger_service.services.close import MAX_RESULT_BYTES, MOST_RESULTS, PAGE
from ledger_service.services.deliveries import approvals
from ledger_service.testing import MemoryObjects
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World, result_of


@pytest.fixture
def site() -> Site:
    return Site(World())


async def open_order(site: Site) -> tuple[Packed, Order]:
    packed = site.world.gateway.pack()
    await site.post(packed)
    return packed, await site.propose(packed)


async def test_an_open_order_is_withdrawn_and_the_tracker_says_each_step(site: Site) -> None:
    packed, order = await open_order(site)

    await site.close.withdraw(order.id)
    with pytest.raises(errors.Conflict):
        await site.close.withdraw(order.id)
    await site.world.ledger.mine()
    await site.take_in()

    journey = await site.track.evidence(packed.id)
    assert journey.state == "Withdrawn"
    assert [hop.name for hop in journey.hops][-2:] == ["withdraw sent", "withdrawn"]


async def test_a_settled_order_is_not_withdrawn_and_no_nonce_is_spent_on_it(site: Site) -> None:
    order = await site.validate(site.world.gateway.pack())

    with pytest.raises(errors.CallReverted):
        await site.close.withdraw(order.id)

    await site.anchor.reconcile()
    async with site.world.store.reading() as rows:
        assert await rows.outgoing.unfinished(site.sender.address) == []
    with pytest.raises(errors.NotFound):
        await site.close.withdraw(ids.OrderId(bytes(32)))


async def test_open_orders_expire_after_their_deadline_once_each(site: Site) -> None:
    packed, _ = await open_order(site)
    assert not await site.close.expire_overdue()
    site.world.clock.advance(hours=49)

    assert await site.close.expire_overdue()
    assert not await site.close.expire_overdue()  # sent already: the loop may rest
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Expired"


async def test_what_can_no_longer_be_approved_expires_before_its_deadline(site: Site) -> None:
    rare = ids.DetectorId(bytes(32))
    site.world.ledger.add_detector(rare)
    packed = [site.world.gateway.pack(), site.world.gateway.pack(detector=rare)]
    for item in packed:
        await site.post(item)
        await site.propose(item)
    assert not await site.close.expire_overdue()

    async def states() -> list[str]:
        await site.world.ledger.mine()
        await site.take_in()
        return [(await site.track.evidence(item.id)).state for item in packed]

    site.world.ledger.revoke_detector(rare)
    assert await site.close.expire_overdue()
    assert await states() == ["Proposed", "Expired"]
    site.world.ledger.end_version(site.world.version)
    assert await site.close.expire_overdue()
    assert await states() == ["Expired", "Expired"]


async def test_however_many_are_open_or_under_way_the_others_expire(site: Site) -> None:
    packed = [site.world.gateway.pack() for _ in range(5)]
    for item in packed:
        await site.post(item)
        await site.propose(item)
    await site.anchor.reconcile()
    site.world.clock.advance(hours=49)

    assert await site.close.expire_overdue(limit=2)
    assert await site.close.expire_overdue(limit=2)
    assert await site.close.expire_overdue(limit=2)

    assert len(site.world.ledger.pending) == len(packed)
    assert not await site.close.expire_overdue(limit=2)


async def test_the_work_ends_with_a_report_that_the_host_can_read(site: Site) -> None:
    order = await site.validate(site.world.gateway.pack())

    digest = await site.close.complete(order.id, Outcome.CURED, b"new drill")

    assert digest == hashlib.sha256(b"new drill").digest()
    assert b"".join([c async for c in await site.fetch.close_out(digest)]) == b"new drill"
    told = (await site.track.feed(0, 10))[-1]
    assert (told.kind, told.body["outcome"], told.body["closeOut"]) == (
        "close-out", 1, digest.hex(),
    )  # fmt: skip
    assert await site.close.complete(order.id, Outcome.CURED, b"new drill") == digest
    assert len(await site.track.feed(0, 10)) == 2


async def test_another_end_of_the_same_work_is_refused_and_the_tracker_keeps_the_first(
    site: Site,
) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)
    await site.close.complete(order.id, Outcome.CURED, b"new drill")

    for outcome, report in ((Outcome.NOT_CURED, b"new drill"), (Outcome.CURED, b"other")):
        with pytest.raises(errors.Conflict, match="Another end"):
            await site.close.complete(order.id, outcome, report)

    assert (await site.track.evidence(packed.id)).hops[-1].detail == "cured"
    kept = [key async for key in site.world.objects.keys("close-outs")]
    assert kept == [f"close-outs/{hashlib.sha256(b'new drill').hexdigest()}"]


async def test_work_that_nobody_approved_does_not_end(site: Site) -> None:
    _, order = await open_order(site)

    with pytest.raises(errors.IllegalMove):
        await site.close.complete(order.id, Outcome.CURED, b"")
    with pytest.raises(errors.TooLarge):
        await site.close.complete(order.id, Outcome.CURED, bytes(256 * 1024 + 1))

    assert isinstance(site.world.objects, MemoryObjects)
    assert not [key for key in site.world.objects.objects if key.startswith("close-outs/")]
    with pytest.raises(errors.NotFound):
        await site.fetch.close_out(bytes(32))


async def test_a_result_is_kept_only_under_its_own_order_and_organisation(site: Site) -> None:
    _, order = await open_order(site)
    document = result_of(order, 1).dumps()
    await site.hand_in(order.id, 1, document)

    with pytest.raises(errors.UnknownField):
        await site.hand_in(order.id, 2, document)
    with pytest.raises(errors.UnknownField):
        await site.hand_in(ids.OrderId(bytes(32)), 1, document)
    with pytest.raises(errors.TooLarge):
        await site.hand_in(order.id, 1, bytes(MAX_RESULT_BYTES + 1))
    for broken in (b"{", bytes(MAX_RESULT_BYTES)):
        with pytest.raises(errors.MalformedJson):
            await site.hand_in(order.id, 1, broken)

    assert [r.document for r in (await site.track.order(order.id)).results] == [document]
    assert order.status is Status.PROPOSED


async def test_each_of_many_results_is_judged_by_itself_and_the_good_ones_are_kept(
    site: Site,
) -> None:
    (_, first), (_, second) = await open_order(site), await open_order(site)
    good = [Result(order.id, 1, result_of(order, 1).dumps()) for order in (first, second)]
    nowhere = replace(result_of(first, 1), order=ids.OrderId(bytes(32)))
    bad = [
        Result(first.id, 2, good[0].document),
        Result(nowhere.order, 1, nowhere.dumps()),
        Result(first.id, 1, b"{"),
        Result(first.id, 1, bytes(MAX_RESULT_BYTES + 1)),
    ]

    found = await site.close.hand_in(bad[0], good[0], *bad[1:], good[1], good[1])

    assert [type(why) for why in found] == [
        errors.UnknownField,
        type(None),
        errors.NotFound,
        errors.MalformedJson,
        errors.TooLarge,
        type(None),
        type(None),
    ]
    for order, item in zip((first, second), good, strict=True):
        assert (await site.track.order(order.id)).results == [item]


async def test_one_too_many_of_an_organisation_is_none_too_many_of_another_in_the_same_request(
    site: Site,
) -> None:
    _, order = await open_order(site)
    salts = [number.to_bytes(SALT_BYTES) for number in range(MOST_RESULTS + 1)]
    many = [Result(order.id, 1, replace(result_of(order, 1), salt=salt).dumps()) for salt in salts]
    other = Result(order.id, 2, result_of(order, 2).dumps())

    found = await site.close.hand_in(*many, many[0], other)

    assert [why is None for why in found] == [*[True] * MOST_RESULTS, False, True, True]
    assert isinstance(found[MOST_RESULTS], errors.Conflict)


async def others(site: Site, order: Order) -> None:
    """Hand in, for an organisation, as many results as it may have; none of them is on chain."""
    for number in range(MOST_RESULTS):
        salt = (number + 2).to_bytes(SALT_BYTES)
        await site.hand_in(order.id, 1, replace(result_of(order, 1), salt=salt).dumps())


async def approvals_of(site: Site, order: Order) -> list[object]:
    view = await site.track.order(order.id)
    return [it["class"] for it in approvals(view.facts, view.results) if it["organisation"] == 1]


async def test_a_result_that_is_on_chain_is_not_replaced_by_a_later_one_of_the_organisation(
    site: Site,
) -> None:
    order = await site.validate(site.world.gateway.pack())
    on_chain = result_of(order, 1)
    await site.hand_in(order.id, 1, on_chain.dumps())
    later = replace(on_chain, salt=b"\1" * SALT_BYTES)
    await site.hand_in(order.id, 1, later.dumps())

    assert await approvals_of(site, order) == [on_chain.agreement]


async def test_of_an_organisation_some_results_are_kept_and_always_the_one_on_chain(
    site: Site,
) -> None:
    order = await site.validate(site.world.gateway.pack())
    await others(site, order)
    await others(site, order)  # the same again is none too many
    one_more = replace(result_of(order, 1), salt=b"\1" * SALT_BYTES).dumps()
    with pytest.raises(errors.Conflict):
        await site.hand_in(order.id, 1, one_more)
    await site.hand_in(order.id, 2, result_of(order, 2).dumps())
    assert await approvals_of(site, order) == [None]

    await site.hand_in(order.id, 1, result_of(order, 1).dumps())

    assert await approvals_of(site, order) == [result_of(order, 1).agreement]


def tried(site: Site) -> list[Call]:
    """Return what is tried on the chain from now on."""
    calls: list[Call] = []
    simulate = site.world.ledger.simulate

    async def noted(call: Call, sender: ids.Address) -> None:
        calls.append(call)
        await simulate(call, sender)

    site.world.ledger.simulate = noted  # type: ignore[method-assign]
    return calls


async def test_all_open_orders_are_gone_through_once_each_however_many_pages_they_fill(
    site: Site,
) -> None:
    packed, order = await open_order(site)
    evidence = (await site.track.evidence(packed.id)).evidence
    orders = [order]
    async with site.world.store.transaction() as rows:
        for number in range(2 * PAGE):
            mark = number.to_bytes(32)
            await rows.evidence.add(
                replace(
                    evidence,
                    id=ids.EvidenceId(mark),
                    sequence=number + 2,
                    dataset_root=ids.DatasetRoot(mark),
                )
            )
            content = replace(order.content, evidence=ids.EvidenceId(mark))
            orders.append(replace(order, id=ids.OrderId(mark), content=content))
            await rows.orders.add(orders[-1])
    site.world.clock.advance(hours=49)
    calls = tried(site)

    assert await asyncio.wait_for(site.close.expire_overdue(), 20)

    assert calls == [Expire(item.content) for item in orders]


async def test_an_order_expires_from_its_deadline_on_and_what_may_still_be_approved_is_not_tried(
    site: Site,
) -> None:
    _, order = await open_order(site)
    calls = tried(site)
    left = order.content.deadline - site.world.clock.now().timestamp()
    site.world.clock.advance(seconds=int(left) - 1)
    assert not await site.close.expire_overdue()
    assert calls == []

    site.world.clock.advance(seconds=1)
    assert await site.close.expire_overdue()
    assert not await site.close.expire_overdue()  # under way: it is not tried again either

    assert calls == [Expire(order.content)]


async def test_what_was_settled_and_is_not_taken_in_yet_lets_the_loop_rest(site: Site) -> None:
    _, order = await open_order(site)
    await site.world.approve(order)
    await site.world.ledger.mine()
    site.world.clock.advance(hours=49)

    assert not await site.close.expire_overdue()


async def test_a_report_may_be_as_long_as_is_said_and_its_end_is_told_in_words(site: Site) -> None:
    packed = site.world.gateway.pack()
    order = await site.validate(packed)

    digest = await site.close.complete(order.id, Outcome.NOT_CURED, bytes(256 * 1024))

    told = (await site.track.feed(0, 10))[-1]
    assert told.body == {
        "content": order.content.as_json(),
        "outcome": int(Outcome.NOT_CURED),
        "closeOut": digest.hex(),
    }
    hop = (await site.track.evidence(packed.id)).hops[-1]
    assert (hop.name, hop.detail) == ("work ended", "not cured")
