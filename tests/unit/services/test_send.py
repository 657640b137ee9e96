from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger_service.commands.doctor import look_at_sending
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Propose, Receipt, Sent
from ledger_service.domain.records import Outgoing
from ledger_service.services.send import using_up
from ledger_service.testing import MemorySigner
from tests.unit.services.gateway import Packed
from tests.unit.services.site import BUILDER, Site, World

TOO_LITTLE = 50_000  #: gas for a transfer and for no call


@pytest.fixture
def site() -> Site:
    return Site(World())


async def anchored(site: Site) -> Packed:
    packed = site.world.gateway.pack()
    await site.post(packed)
    await site.anchor.step()
    return packed


async def look_for(site: Site, minutes: int) -> None:
    for _ in range(minutes * 6):
        site.world.clock.advance(seconds=10)
        await site.anchor.reconcile()


async def stored(site: Site) -> Outgoing:
    async with site.world.store.reading() as rows:
        (found,) = await rows.outgoing.unfinished(site.sender.address)
    return found


async def hops(site: Site, packed: Packed) -> dict[str, str]:
    return {hop.name: hop.detail for hop in (await site.track.evidence(packed.id)).hops}


async def test_a_chain_that_stands_still_is_asked_once_a_minute_and_not_each_second(
    site: Site,
) -> None:
    await anchored(site)
    site.world.ledger.answers.extend([Sent.KNOWN] * 10_000)
    await look_for(site, 60)
    before = (await stored(site)).sends

    await look_for(site, 60)

    assert before > 50
    assert (await stored(site)).sends - before in range(50, 61)


async def test_what_every_node_refuses_gives_its_nonce_back_and_the_evidence_fails_with_the_reason(
    site: Site,
) -> None:
    site.world.ledger.most_gas = TOO_LITTLE
    packed = await anchored(site)
    first = await stored(site)
    await look_for(site, 4)
    assert (await stored(site)).hash == first.hash
    assert (await hops(site, packed))["propose sent"] == "refused"
    found = await look_at_sending(site.world.store, site.world.clock.now())
    assert (found.ok, found.text[:24]) == (False, "1 refused by every node;")
    assert site.world.ledger.pending == []

    await look_for(site, 3)
    assert len(site.world.ledger.pending) == 1
    assert (await hops(site, packed))["propose void"].endswith("refused.")
    await site.world.ledger.mine()
    await site.anchor.reconcile()

    journey = await site.track.evidence(packed.id)
    assert journey.state == "Failed"
    assert journey.reason.startswith("Every node refused it for 300 s: refused.")
    assert site.world.proposed() == []
    site.world.ledger.most_gas = 10 * TOO_LITTLE
    await site.anchor.again(packed.id)
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"
    assert (await look_at_sending(site.world.store, site.world.clock.now())).ok


async def test_what_is_underpriced_is_proposed_at_the_fees_of_now_and_is_the_same_order(
    site: Site,
) -> None:
    site.world.ledger.least_price = 7
    packed = await anchored(site)
    order = (await site.track.evidence(packed.id)).orders[0].id
    await look_for(site, 7)  # nothing else can be signed while our fees are as they were
    assert (await stored(site)).earlier == ()

    site.world.ledger.price = 7
    await look_for(site, 2)
    assert (await hops(site, packed))["propose at new fees"].endswith("underpriced.")
    await site.run_to_the_end()

    journey = await site.track.evidence(packed.id)
    assert (journey.state, [item.id for item in journey.orders]) == ("Validated", [order])


async def test_a_refusal_that_ends_in_time_changes_no_byte(site: Site) -> None:
    site.world.ledger.most_gas = TOO_LITTLE
    packed = await anchored(site)
    first = await stored(site)
    await look_for(site, 4)
    site.world.ledger.answers.extend([Sent.RETRY] * 3)  # one node is away, nothing is known
    await look_for(site, 3)
    site.world.ledger.most_gas = 10 * TOO_LITTLE

    await look_for(site, 1)

    assert site.world.ledger.pending == [first.hash]
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_the_first_bytes_may_be_mined_after_all(site: Site) -> None:
    packed = await anchored(site)
    (first,) = site.world.ledger.pending
    site.world.ledger.answers.extend([Sent.REFUSED] * 50)  # though one pool holds it
    await look_for(site, 7)
    assert (await stored(site)).void

    site.world.ledger.answers.clear()
    await site.world.ledger.mine([first])
    await site.anchor.reconcile()
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"
    async with site.world.store.reading() as rows:
        assert await rows.outgoing.unfinished(site.sender.address) == []


async def test_a_withdrawal_that_came_to_nothing_is_told_and_may_be_said_again(site: Site) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.anchor.reconcile()
    site.world.ledger.most_gas = TOO_LITTLE
    await site.close.withdraw(order.id)
    with pytest.raises(errors.Conflict):
        await site.close.withdraw(order.id)
    await look_for(site, 7)
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    assert (await hops(site, packed))["withdraw failed"].startswith("Every node refused it")
    assert (await site.track.evidence(packed.id)).state == "Proposed"

    site.world.ledger.most_gas = 10 * TOO_LITTLE
    await site.close.withdraw(order.id)
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == "Withdrawn"


async def test_bytes_that_no_node_takes_hold_those_behind_them_up_for_seconds_only(
    site: Site,
) -> None:
    site.world.ledger.most_gas = TOO_LITTLE
    bad = await anchored(site)
    site.world.ledger.most_gas = 10 * TOO_LITTLE
    good = await anchored(site)
    site.world.ledger.answers.extend([Sent.REFUSED, Sent.ACCEPTED] * 20)  # the first one, always
    for _ in range(30):
        site.world.clock.advance(seconds=1)
        await site.anchor.reconcile()
        if (await stored_all(site))[0].void:
            break
    site.world.ledger.answers.clear()
    site.world.clock.advance(seconds=60)
    await site.run_to_the_end()

    assert (await site.track.evidence(bad.id)).reason.startswith("Every node refused it for 15 s")
    assert (await site.track.evidence(good.id)).state == "Validated"


async def test_words_that_nobody_knows_void_nothing_in_haste_and_fail_no_evidence(
    site: Site,
) -> None:
    first, second = await anchored(site), await anchored(site)
    site.world.ledger.drop()
    for minutes, void in ((4, False), (3, True)):
        for _ in range(6 * minutes):
            site.world.clock.advance(seconds=10)
            site.world.ledger.answers.extend([Sent.UNCLEAR] * 3)
            await site.anchor.reconcile()
        site.world.ledger.answers.clear()
        assert (await stored_all(site))[0].void is void
    assert (await hops(site, first))["propose void"].endswith("for 300 s: unclear.")

    site.world.clock.advance(seconds=100)
    await site.run_to_the_end()

    for packed in (first, second):
        assert (await site.track.evidence(packed.id)).state == "Validated"
    assert (await hops(site, first))["again"].startswith("No node took it, in words")


async def test_what_a_pool_forgot_of_one_it_forgot_of_all_and_they_follow_at_once(
    site: Site,
) -> None:
    for _ in range(3):
        await anchored(site)
    before = site.world.ledger.pending
    await look_for(site, 10)  # each is sent once a minute by now
    site.world.ledger.drop()
    await site.anchor.reconcile(at_start=True)
    assert site.world.ledger.pending == before
    first, *_ = await stored_all(site)
    site.world.clock.advance(seconds=61)
    async with site.world.store.transaction() as rows:
        others = [item.key for item in await stored_all(site) if item.key != first.key]
        await rows.outgoing.sent(others, site.world.clock.now(), refused=False)
    site.world.ledger.drop()

    await site.anchor.reconcile()  # only the first is due

    assert site.world.ledger.pending == before


async def test_what_the_chain_lost_of_long_ago_is_given_again_the_same_bytes(site: Site) -> None:
    first = await anchored(site)
    (name,) = site.world.ledger.pending
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    assert await stored_all(site) == []
    site.world.ledger.fork(1, forget=True)  # a chain that is younger than our nonce
    second = await anchored(site)
    site.world.clock.advance(seconds=4)

    await site.anchor.reconcile()

    assert site.world.ledger.pending[-1] == name
    await site.run_to_the_end()
    for packed in (first, second):
        assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_nonce_that_nobody_has_any_more_is_used_for_nothing_after_some_time(
    site: Site,
) -> None:
    ledger, elsewhere = site.world.ledger, MemorySigner(BUILDER)
    used = using_up(ledger.prepare(Propose(())), elsewhere.address)
    await ledger.send(elsewhere.sign(used, 0).raw)
    await ledger.mine()
    packed = await anchored(site)  # behind what the key did elsewhere
    assert (await stored(site)).nonce == 1
    ledger.fork(1, forget=True)
    await look_for(site, 4)
    await ledger.mine()
    assert await ledger.nonce(elsewhere.address) == 0

    await look_for(site, 3)
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_nonce_that_the_key_used_elsewhere_meanwhile_is_not_taken_again(
    site: Site,
) -> None:
    first = await anchored(site)
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    elsewhere = MemorySigner(BUILDER)
    used = using_up(site.world.ledger.prepare(Propose(())), elsewhere.address)
    await site.world.ledger.send(elsewhere.sign(used, 1).raw)
    await site.world.ledger.mine()

    second = await anchored(Site(site.world))

    assert (await stored(site)).nonce == 2
    await site.run_to_the_end()
    for packed in (first, second):
        assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_an_operator_ends_a_transaction_that_is_stuck_and_the_evidence_may_be_tried_again(
    site: Site,
) -> None:
    site.world.ledger.price = 4
    packed = await anchored(site)
    site.world.ledger.drop()
    site.world.ledger.least_price = 5  # dearer than what is signed

    assert await site.sender.cancel(0) is Sent.ACCEPTED
    cancelled = await stored(site)
    assert cancelled.void
    await site.world.ledger.mine()
    await site.anchor.reconcile()

    journey = await site.track.evidence(packed.id)
    assert (journey.state, journey.reason) == (
        "Failed",
        "Cancelled by an operator. Its nonce was used for nothing.",
    )
    with pytest.raises(errors.IllegalMove):
        await site.sender.cancel(0)
    with pytest.raises(errors.NotFound):
        await site.sender.cancel(1)
    site.world.ledger.price = 5
    await site.anchor.again(packed.id)
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_what_is_stuck_is_told_by_the_doctor_and_by_the_log(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = await anchored(site)
    assert (await look_at_sending(site.world.store, site.world.clock.now())).ok
    await look_for(site, 7)

    found = await look_at_sending(site.world.store, site.world.clock.now())

    assert (found.ok, found.text[:28]) == (False, "1 in no final block; nonce 0")
    assert "mol anchor cancel" in found.todo
    assert "stuck" in capsys.readouterr().out
    await site.run_to_the_end()
    assert (await look_at_sending(site.world.store, site.world.clock.now())).ok
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_what_is_cancelled_and_mined_all_the_same_is_proposed(site: Site) -> None:
    packed = await anchored(site)
    (first,) = site.world.ledger.pending

    assert await site.sender.cancel(0) is Sent.UNDERPRICED  # the pool keeps what it has
    await site.world.ledger.mine([first])
    await site.anchor.reconcile()
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_the_chain_is_asked_for_no_receipt_before_a_final_block_used_the_nonce() -> None:
    site = Site(World(finality_depth=2))
    asked: list[int] = []
    receipts = site.world.ledger.receipts

    async def counted(transactions: Sequence[ids.TxHash]) -> list[Receipt | None]:
        asked.append(len(transactions))
        return await receipts(transactions)

    site.world.ledger.receipts = counted  # type: ignore[method-assign]
    for _ in range(3):
        await anchored(site)
    for _ in range(4):
        await site.anchor.reconcile()
        await site.world.ledger.mine()

    assert sum(asked) == 3


async def stored_all(site: Site) -> list[Outgoing]:
    async with site.world.store.reading() as rows:
        return list(await rows.outgoing.unfinished(site.sender.address))
