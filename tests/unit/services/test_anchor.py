from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Approve, Call, Propose, Sent
from ledger_service.domain.lifecycle import Stage, Status
from ledger_service.domain.order import order_digest, order_id
from ledger_service.domain.records import TxState
from ledger_service.services.anchor import GAS_AN_ORDER
from ledger_service.testing import MemorySigner
from tests.unit.services.gateway import DETECTOR, Packed
from tests.unit.services.site import BUILDER, Site, World


@pytest.fixture
def site() -> Site:
    return Site(World())


async def sealed(site: Site, count: int) -> list[Packed]:
    packed = [site.world.gateway.pack() for _ in range(count)]
    for item in packed:
        await site.post(item)
    return packed


async def stage_of(site: Site, packed: Packed) -> tuple[Stage, str]:
    evidence = (await site.track.evidence(packed.id)).evidence
    return evidence.stage, evidence.reason


async def ordered(site: Site, packed: Packed) -> ids.OrderId:
    return (await site.track.evidence(packed.id)).orders[-1].id


async def keys(site: Site) -> list[tuple[str, int]]:
    async with site.world.store.reading() as rows:
        return [(o.key, o.nonce) for o in await rows.outgoing.unfinished(site.sender.address)]


async def test_sealed_evidence_becomes_an_order_that_follows_from_it(site: Site) -> None:
    (packed,) = await sealed(site, 1)

    assert await site.anchor.step()

    (order,) = (await site.track.evidence(packed.id)).orders
    document, content = json.loads(order.document), order.content
    assert order.id == order_id(content, site.world.ledger.orders)
    assert content.order_digest == order_digest(order.document)
    assert (content.cost, content.attempt) == (6000 + 2 * 8900, 1)
    assert content.builder == site.sender.address
    assert document["evidence"] == packed.id.hex()
    assert await stage_of(site, packed) == (Stage.ANCHORING, "")
    assert len(site.world.ledger.pending) == 1


async def test_under_load_twenty_orders_go_in_one_transaction_and_all_by_one_commit(
    site: Site,
) -> None:
    packed = await sealed(site, 21)

    assert await site.anchor.step()
    assert not await site.anchor.step()

    (batch, nonce), (single, next_nonce) = await keys(site)
    assert batch.endswith("+19")
    assert "+" not in single
    assert (nonce, next_nonce) == (0, 1)
    await site.world.ledger.mine()
    assert len(site.world.proposed()) == len(packed)


async def test_the_organisations_are_told_before_the_broadcast_even_if_no_node_takes_it(
    site: Site,
) -> None:
    await sealed(site, 1)
    site.world.ledger.answers.append(Sent.RETRY)

    await site.anchor.step()

    (told,) = await site.track.feed(0, 10)
    assert told.kind == "order"
    assert set(told.body) == {"content", "document", "envelope", "asset"}
    assert site.world.ledger.pending == []
    site.world.clock.advance(seconds=4)
    await site.anchor.reconcile()
    assert len(site.world.ledger.pending) == 1


async def test_one_that_the_contract_would_refuse_fails_with_the_reason_and_holds_up_no_other(
    site: Site,
) -> None:
    (good,) = await sealed(site, 1)
    rare = ids.DetectorId(bytes(32))
    site.world.ledger.add_detector(rare)
    bad = site.world.gateway.pack(detector=rare)
    await site.post(bad)
    site.world.ledger.revoke_detector(rare)

    await site.anchor.step()

    assert await stage_of(site, good) == (Stage.ANCHORING, "")
    stage, reason = await stage_of(site, bad)
    assert stage is Stage.FAILED
    assert "Detector" in reason
    journey = await site.track.evidence(bad.id)
    assert (journey.state, journey.hops[-1].name) == ("Failed", "failed")
    assert [key for key, _ in await keys(site)] == [f"propose:{(await ordered(site, good)).hex()}"]


async def test_an_asset_taken_out_of_the_settings_fails_its_evidence_alone(site: Site) -> None:
    (packed,) = await sealed(site, 1)

    assert await Site(site.world, assets=()).anchor.step()

    stage, reason = await stage_of(site, packed)
    assert (stage, reason) == (Stage.FAILED, "1/robot-7 is no longer in this service's settings.")


async def test_while_no_node_answers_nothing_fails_and_nothing_is_lost(site: Site) -> None:
    (packed,) = await sealed(site, 1)
    site.world.ledger.down = True
    with pytest.raises(errors.NodeUnreachable):
        await site.anchor.step()
    assert await stage_of(site, packed) == (Stage.SEALED, "")

    site.world.ledger.down = False
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_second_process_neither_doubles_an_order_nor_fails_one_that_is_under_way(
    site: Site,
) -> None:
    (packed,) = await sealed(site, 1)
    other = Site(site.world)
    async with site.world.store.reading() as rows:
        waiting = await rows.evidence.to_anchor(1)
    await site.anchor.step()
    await site.world.ledger.mine()

    # The other one looked before, and finds the evidence held on chain only now.
    await other.sender.ready()
    assert await other.anchor._build_all(waiting) == []

    assert await stage_of(site, packed) == (Stage.ANCHORING, "")
    assert len(site.world.proposed()) == 1


async def test_what_pools_forgot_is_sent_again_the_same_bytes_later_and_later(site: Site) -> None:
    await sealed(site, 1)
    await site.anchor.step()
    (first,) = site.world.ledger.pending
    sends = []
    for second in range(300):
        site.world.ledger.drop()
        site.world.clock.advance(seconds=1)
        await site.anchor.reconcile()
        if site.world.ledger.pending:
            assert site.world.ledger.pending == [first]
            sends.append(second + 1)

    assert sends == [4, 11, 24, 49, 98, 159, 220, 281]


async def test_after_a_start_everything_unfinished_is_sent_at_once(site: Site) -> None:
    await sealed(site, 1)
    await site.anchor.step()
    site.world.ledger.drop()

    await Site(site.world).anchor.reconcile(at_start=True)

    assert len(site.world.ledger.pending) == 1


async def test_a_transaction_is_finished_only_when_its_block_is_final() -> None:
    site = Site(World(finality_depth=2))
    await sealed(site, 1)
    await site.anchor.step()
    await site.world.ledger.mine()
    await site.anchor.reconcile()
    assert len(await keys(site)) == 1

    await site.world.ledger.mine_many(2)
    await site.anchor.reconcile()

    assert await keys(site) == []


async def test_a_proposal_that_reverted_fails_its_evidence_which_may_be_tried_again(
    site: Site,
) -> None:
    (packed,) = await sealed(site, 1)
    await site.anchor.step()
    site.world.ledger.revoke_detector(DETECTOR)
    await site.world.ledger.mine()

    await site.anchor.reconcile()

    assert await stage_of(site, packed) == (Stage.FAILED, "It was mined and reverted.")
    site.world.ledger.add_detector(DETECTOR)
    site.world.clock.advance(seconds=1)
    await site.anchor.again(packed.id)
    assert (await site.track.evidence(packed.id)).state == "Sealed"
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_what_a_batch_left_out_fails_and_the_rest_of_it_stands(site: Site) -> None:
    (first,) = await sealed(site, 1)
    rare = ids.DetectorId(bytes(32))
    site.world.ledger.add_detector(rare)
    second = site.world.gateway.pack(detector=rare)
    await site.post(second)
    await site.anchor.step()
    site.world.ledger.revoke_detector(rare)
    await site.world.ledger.mine()
    await site.take_in()

    await site.anchor.reconcile()

    assert (await site.track.evidence(first.id)).state == "Proposed"
    stage, reason = await stage_of(site, second)
    assert stage is Stage.FAILED
    assert reason.startswith("Skipped by the contract")
    assert await keys(site) == []


async def test_a_batch_of_an_agent_that_skips_an_order_fails_nothing(site: Site) -> None:
    packed = await sealed(site, 2)
    await site.anchor.step()
    orders = [(await site.track.evidence(item.id)).orders[0] for item in packed]
    contents = tuple(order.content for order in orders)
    agent = MemorySigner("verdict 1")
    wrong = Approve(contents, (2, 2), (bytes(32), bytes(32)))  # type: ignore[arg-type]
    raw = agent.sign(site.world.ledger.prepare(wrong), 0).raw
    await site.world.ledger.send(raw)
    proposal, verdicts = site.world.ledger.pending
    await site.world.ledger.mine([verdicts])
    await site.take_in()
    await site.anchor.reconcile()

    assert (await stage_of(site, packed[0]))[0] is Stage.ANCHORING
    await site.world.ledger.mine([proposal])
    await site.take_in()
    await site.anchor.reconcile()
    assert [(await site.track.evidence(item.id)).state for item in packed] == ["Proposed"] * 2


async def test_a_nonce_that_another_transaction_took_is_believed_only_after_a_while(
    site: Site,
) -> None:
    (packed,) = await sealed(site, 1)
    await site.anchor.step()
    site.world.clock.advance(seconds=100)  # old enough, but never seen missing before
    site.world.ledger.drop()
    same_key = MemorySigner(BUILDER)
    other = Propose(((await site.track.evidence(packed.id)).orders[0].content,) * 2)
    await site.world.ledger.send(same_key.sign(site.world.ledger.prepare(other), 0).raw)
    site.world.ledger.add_builder(same_key.address)
    site.world.ledger.revoke_detector(DETECTOR)
    await site.world.ledger.mine()

    await site.anchor.reconcile()
    assert (await stage_of(site, packed))[0] is Stage.ANCHORING
    site.world.clock.advance(seconds=31)
    await site.anchor.reconcile()

    reason = "Another transaction of this key took its nonce."
    assert await stage_of(site, packed) == (Stage.SEALED, "")
    async with site.world.store.reading() as rows:
        order = (await rows.orders.of_evidence(packed.id))[0]
        outgoing = await rows.outgoing.get(f"propose:{order.id.hex()}")
    assert outgoing is not None
    assert (outgoing.state, outgoing.reason) == (TxState.FAILED, reason)
    site.world.ledger.add_detector(DETECTOR)
    site.world.clock.advance(seconds=1)
    await site.run_to_the_end()
    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_new_attempt_follows_a_refusal_and_no_open_or_approved_order(site: Site) -> None:
    (packed,) = await sealed(site, 1)
    first = await site.propose(packed)
    with pytest.raises(errors.IllegalMove):
        await site.anchor.again(packed.id)
    await site.world.refuse(first, 2)
    await site.world.ledger.mine()
    await site.take_in()
    assert (await site.track.evidence(packed.id)).state == "Refused"

    await site.anchor.again(packed.id)

    assert (await site.track.evidence(packed.id)).state == "Sealed"
    site.world.clock.advance(seconds=1)
    second = await site.propose(packed)
    assert (second.content.attempt, second.status) == (2, Status.PROPOSED)
    await site.world.approve(second)
    await site.world.ledger.mine()
    await site.take_in()
    with pytest.raises(errors.IllegalMove):
        await site.anchor.again(packed.id)


async def test_a_second_attempt_that_fails_is_not_hidden_behind_the_first_refusal(
    site: Site,
) -> None:
    (packed,) = await sealed(site, 1)
    await site.world.refuse(await site.propose(packed), 2)
    await site.world.ledger.mine()
    await site.take_in()
    await site.anchor.again(packed.id)
    site.world.ledger.revoke_detector(DETECTOR)

    await site.anchor.step()

    journey = await site.track.evidence(packed.id)
    assert journey.state == "Failed"
    assert "Detector" in journey.reason


async def test_while_a_block_of_proposals_waits_the_rest_gathers_to_a_batch(site: Site) -> None:
    site.world.ledger.gas_of_block = 40 * GAS_AN_ORDER
    await sealed(site, 30)
    await site.anchor.step()  # nothing is under way: all of it
    await sealed(site, 5)

    assert not await site.anchor.step()
    assert len(site.world.ledger.pending) == 2
    await site.world.ledger.mine()
    assert await site.anchor.step()

    assert len(site.world.ledger.pending) == 1
    await site.run_to_the_end()
    assert len(site.world.proposed()) == 35


async def test_one_that_makes_trouble_of_its_own_is_put_aside_and_holds_up_no_other(
    site: Site,
) -> None:
    bad, good = await sealed(site, 2)
    ledger = site.world.ledger
    usual, usual_many = ledger.simulate, ledger.simulate_many

    async def one(call: Call, sender: ids.Address) -> None:
        if isinstance(call, Propose) and call.contents[0].evidence == bad.id:
            raise errors.BadAnswer
        await usual(call, sender)

    async def many(tried: Sequence[Call], sender: ids.Address) -> list[errors.LedgerError | None]:
        found: list[errors.LedgerError | None] = []
        for call in tried:
            try:
                await one(call, sender)
            except errors.ChainError as exc:
                found.append(exc)
            else:
                found.append(None)
        return found

    ledger.simulate, ledger.simulate_many = one, many  # type: ignore[method-assign]

    assert await site.anchor.step()
    assert (await stage_of(site, bad))[0] is Stage.SEALED
    assert (await stage_of(site, good))[0] is Stage.ANCHORING
    assert not await site.anchor.step()  # it is not asked again and again

    ledger.simulate, ledger.simulate_many = usual, usual_many  # type: ignore[method-assign]
    site.world.clock.advance(seconds=31)
    await site.run_to_the_end()
    assert (await site.track.evidence(bad.id)).state == "Validated"


async def test_of_many_that_are_stored_by_one_commit_the_one_that_conflicts_is_left_out(
    site: Site,
) -> None:
    packed = await sealed(site, 3)
    other = Site(site.world)
    async with site.world.store.reading() as rows:
        waiting = await rows.evidence.to_anchor(3)
    await other.sender.ready()
    built = await other.anchor._build_all(waiting)
    async with site.world.store.transaction() as rows:
        site.world.clock.advance(seconds=1)
        (mine,) = await site.anchor._build_all([waiting[1]])
        await rows.orders.add(mine.order)  # the attempt is somebody else's

    outgoing = await other.anchor._commit(built)

    assert [len(item.orders) for item in outgoing] == [1, 1]
    assert [(await stage_of(site, item))[0] for item in packed] == [
        Stage.ANCHORING,
        Stage.SEALED,
        Stage.ANCHORING,
    ]
