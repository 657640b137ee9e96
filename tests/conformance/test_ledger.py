"""The Ledger port: the ledger in memory and every chain, held to one suite."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest

from ledger_service.domain import calls, errors, facts, ids
from ledger_service.domain.calls import Call, Sent
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.services.send import using_up
from tests.conformance.plants import SEATS, Plant, approval, founded_plant, memory_plant
from tests.peers.consortium import ASSET, DETECTOR, DEVICE, RESULT, Founded

DETAIL = b"\x0d" * 32
NOBODY = ids.Address(b"\x09" * 20)
CHAINS = [
    "memory",
    "embedded",
    pytest.param("geth", marks=pytest.mark.clique),
    pytest.param("qbft", marks=[pytest.mark.besu, pytest.mark.timeout(900)]),
]


@pytest.fixture(params=CHAINS)
def founded(request: pytest.FixtureRequest) -> Founded | None:
    """Each real chain with a consortium on it; None for the ledger in memory."""
    if request.param == "memory":
        return None
    chosen: Founded = request.getfixturevalue(f"on_{request.param}")
    return chosen


@pytest.fixture
async def plant(founded: Founded | None) -> AsyncIterator[Plant]:
    opened = founded_plant(founded) if founded else memory_plant()
    yield opened
    closing = opened.close()
    if inspect.isawaitable(closing):
        await closing


@pytest.mark.parametrize("at", range(4))
async def test_an_order_is_validated_wherever_among_the_verdicts_its_proposal_arrives(
    plant: Plant, at: int
) -> None:
    content = plant.content()
    order = plant.order(content)
    steps = [(plant.verdicts[number - 1], approval(content, number)) for number in SEATS]
    steps.insert(at, (plant.builder, calls.Propose((content,))))  # type: ignore[arg-type]  # calls of two kinds

    receipts = [await plant.do(key, call) for key, call in steps]
    told = await plant.events(*receipts)

    expected: list[facts.Event] = [
        facts.Approved(order, plant.verdicts[number - 1].address, number, number - 1, RESULT)
        for number in SEATS
    ]
    expected.insert(at, facts.Proposed(order, content))
    last = steps[-1][0].address
    assert told == [*expected, facts.Moved(order, Status.VALIDATED, last, bytes(32))]
    word = await plant.word(content)
    assert (word.status, word.approved, word.against, word.attempt) == (Status.VALIDATED, 7, 0, 1)
    assert await plant.ledger.latest_order(ASSET, content.evidence) == order


async def test_one_refusal_refuses_and_a_new_attempt_may_follow(plant: Plant) -> None:
    content = plant.content()
    order, second = plant.order(content), plant.verdicts[1]
    await plant.do(plant.builder, calls.Propose((content,)))
    await plant.approve(content, 1, 2)

    refused = await plant.do(second, calls.Refuse(content, 1, 7, DETAIL))

    assert await plant.events(refused) == [
        facts.Refused(order, second.address, 2, 1, 7, DETAIL),
        facts.Moved(order, Status.REFUSED, second.address, bytes(32)),
    ]
    word = await plant.word(content)
    assert (word.status, word.approved, word.against) == (Status.REFUSED, 1, 2)
    again = replace(content, attempt=2)
    await plant.do(plant.builder, calls.Propose((again,)))
    assert (await plant.word(again)).status is Status.PROPOSED
    assert await plant.ledger.latest_order(ASSET, content.evidence) == plant.order(again)


async def test_an_open_order_is_withdrawn_by_its_builder(plant: Plant) -> None:
    content = plant.content()
    await plant.do(plant.builder, calls.Propose((content,)))

    receipt = await plant.do(plant.builder, calls.Withdraw(content))

    moved = facts.Moved(plant.order(content), Status.WITHDRAWN, plant.builder.address, bytes(32))
    assert await plant.events(receipt) == [moved]


async def test_work_is_completed_by_the_host_with_its_outcome(plant: Plant) -> None:
    content = plant.content()
    await plant.do(plant.builder, calls.Propose((content,)))
    await plant.approve(content, *SEATS)

    receipt = await plant.do(plant.verdicts[0], calls.Complete(content, Outcome.CURED, DETAIL))

    host = plant.verdicts[0].address
    moved = facts.Moved(plant.order(content), Status.COMPLETED, host, DETAIL)
    assert await plant.events(receipt) == [moved]
    assert (await plant.word(content)).outcome == Outcome.CURED


async def test_a_validated_order_is_cancelled_when_all_seats_say_so(plant: Plant) -> None:
    content = plant.content()
    order = plant.order(content)
    await plant.do(plant.builder, calls.Propose((content,)))
    await plant.approve(content, *SEATS)

    receipts = [
        await plant.do(plant.verdicts[number - 1], calls.Cancel(content, number - 1))
        for number in SEATS
    ]

    voted = [
        facts.CancellationVoted(order, plant.verdicts[number - 1].address, number, number - 1)
        for number in SEATS
    ]
    moved = facts.Moved(order, Status.CANCELLED, plant.verdicts[2].address, bytes(32))
    assert await plant.events(*receipts) == [*voted, moved]


async def test_an_emergency_is_ratified_by_all(plant: Plant) -> None:
    content = plant.emergency()
    order, safety = plant.order(content), plant.governors[2]

    raised = await plant.do(safety, calls.ProposeEmergency(content, DETAIL))
    ratified = await plant.approve(content, *SEATS)

    assert await plant.events(raised) == [
        facts.Proposed(order, content),
        facts.Moved(order, Status.EMERGENCY, safety.address, DETAIL),
    ]
    last = (await plant.events(*ratified))[-1]
    assert last == facts.Moved(order, Status.RATIFIED, plant.verdicts[2].address, bytes(32))
    word = await plant.word(content)
    assert (word.status, word.was_emergency, word.was_contested) == (Status.RATIFIED, True, False)


async def test_an_emergency_beyond_the_cap_is_refused(plant: Plant) -> None:
    safety = plant.governors[2].address
    dear = plant.content(builder=safety, cost=100_001)

    with pytest.raises(errors.CallReverted) as refused:
        await plant.ledger.simulate(calls.ProposeEmergency(dear, DETAIL), safety)

    assert refused.value.fields["why"] == "Cap"


async def test_an_escalated_order_that_one_refuses_is_contested_and_can_be_closed(
    plant: Plant,
) -> None:
    content = plant.content(cost=10)
    order = plant.order(content)
    await plant.do(plant.builder, calls.Propose((content,)))
    await plant.approve(content, 1)

    raised = await plant.do(plant.governors[2], calls.Escalate(content, DETAIL))
    refused = await plant.do(plant.verdicts[1], calls.Refuse(content, 1, 3, DETAIL))
    outcome = calls.Complete(content, Outcome.NOT_CARRIED_OUT, DETAIL)
    closed = await plant.do(plant.verdicts[0], outcome)

    told = await plant.events(raised, refused, closed)
    assert [event.status for event in told if isinstance(event, facts.Moved)] == [
        Status.EMERGENCY,
        Status.CONTESTED,
        Status.COMPLETED,
    ]
    word = await plant.word(content)
    assert (word.was_emergency, word.was_contested, word.approved) == (True, True, 1)
    assert {event.order for event in told} == {order}
    again = replace(content, attempt=2)
    await plant.ledger.simulate(calls.Propose((again,)), plant.builder.address)


async def test_a_batch_does_what_applies_and_says_what_it_skips(plant: Plant) -> None:
    first, held, last = (plant.content() for _ in range(3))
    await plant.do(plant.builder, calls.Propose((held,)))

    proposed = await plant.do(plant.builder, calls.Propose((first, held, last)))
    batch = calls.Approve((held, first), (0, 0), (RESULT, RESULT))
    approved = await plant.do(plant.verdicts[0], batch)

    assert await plant.events(proposed) == [
        facts.Proposed(plant.order(first), first),
        facts.Skipped(plant.order(held), 1, Status.PROPOSED, Status.NONE),
        facts.Proposed(plant.order(last), last),
    ]
    assert [event.order for event in await plant.events(approved)] == [
        plant.order(held),
        plant.order(first),
    ]


Case = tuple[Call, ids.Address, str, object, object]


async def check_named(plant: Plant, cases: list[Case]) -> None:
    for call, sender, why, found, expected in cases:
        with pytest.raises(errors.CallReverted) as refused:
            await plant.ledger.simulate(call, sender)
        told = tuple(refused.value.fields[name] for name in ("why", "found", "expected"))
        assert told == (why, found, expected), call


async def test_a_proposal_that_does_not_apply_is_named_with_what_was_found(plant: Plant) -> None:
    fresh, held = plant.content(), plant.content()
    await plant.do(plant.builder, calls.Propose((held,)))
    builder = plant.builder.address
    host, governor = plant.verdicts[0].address, plant.governors[1].address
    unknown = ids.DetectorId(b"\x09" * 32)
    name = int.from_bytes(plant.order(held))

    await check_named(
        plant,
        [
            (calls.Propose((fresh,)), plant.stranger.address, "Caller", 0, 4),
            (calls.Propose((fresh,)), host, "Caller", 1, 4),
            (calls.Propose((fresh,)), governor, "Caller", 2, 4),
            (calls.Propose((held,)), builder, "State", 1, 0),
            (calls.Propose((replace(fresh, attempt=2),)), builder, "Attempt", 2, 1),
            (calls.Propose((replace(fresh, detector=unknown),)), builder, "Detector", 0, 1),
            (calls.Propose((replace(held, attempt=2),)), builder, "Held", name, 1),
            (calls.ProposeEmergency(fresh, DETAIL), governor, "Caller", 2, 3),
            (calls.Withdraw(fresh), builder, "State", 0, 1),
        ],
    )


async def test_a_verdict_or_close_that_does_not_apply_is_named_with_what_was_found(
    plant: Plant,
) -> None:
    fresh, held, done = (plant.content() for _ in range(3))
    for content in (held, done):
        await plant.do(plant.builder, calls.Propose((content,)))
    await plant.approve(done, *SEATS)
    await plant.approve(held, 1)
    host, second = plant.verdicts[0].address, plant.verdicts[1].address
    stranger, governor = plant.stranger.address, plant.governors[0].address
    completion = calls.Complete(done, Outcome.CURED, DETAIL)

    await check_named(
        plant,
        [
            (approval(fresh, 2), host, "Seat", 1, 2),
            (approval(fresh, 1), stranger, "Seat", 0, 1),
            (approval(fresh, 1), governor, "Seat", 1, 1),
            (approval(held, 1), host, "Voted", 0, 0),
            (approval(done, 1), host, "State", 3, 1),
            (calls.Refuse(done, 1, 1, DETAIL), second, "State", 3, 1),
            (calls.Complete(held, Outcome.CURED, DETAIL), host, "State", 1, 3),
            (completion, second, "Caller", 2, 1),
            (completion, governor, "Caller", 1, 1),
            (calls.Cancel(held, 0), host, "State", 1, 3),
            (calls.Escalate(held, DETAIL), host, "Caller", 1, 3),
            (calls.Escalate(held, DETAIL), stranger, "Caller", 0, 3),
            (calls.Contest(held), host, "State", 1, 2),
        ],
    )


async def test_deadlines_are_held_to_block_time(plant: Plant) -> None:
    past, far, open_ = plant.content(deadline=1), plant.content(deadline=2**40 - 1), plant.content()
    await plant.do(plant.builder, calls.Propose((open_,)))
    for call, key, why in (
        (calls.Propose((past,)), plant.builder, "Late"),
        (calls.Propose((far,)), plant.builder, "TooFar"),
        (calls.Refuse(past, 0, 1, DETAIL), plant.verdicts[0], "Late"),
        (calls.Expire(open_), plant.stranger, "Early"),
    ):
        with pytest.raises(errors.CallReverted) as refused:
            await plant.ledger.simulate(call, key.address)
        assert refused.value.fields["why"] == why


async def test_a_transaction_that_reverts_has_a_receipt_uses_its_nonce_and_says_nothing(
    plant: Plant,
) -> None:
    before = await plant.ledger.nonce(plant.stranger.address)

    receipt = await plant.do(plant.stranger, calls.Withdraw(plant.content()))

    assert not receipt.succeeded
    assert await plant.events(receipt) == []
    assert await plant.ledger.nonce(plant.stranger.address) == before + 1


async def test_a_broadcast_ends_in_one_word_of_the_vocabulary(plant: Plant) -> None:
    ledger, key = plant.ledger, plant.stranger
    unsigned = ledger.prepare(calls.Expire(plant.content()))
    nonce = await ledger.nonce(key.address)
    ahead, next_ = key.sign(unsigned, nonce + 3), key.sign(unsigned, nonce)
    foreign = key.sign(replace(unsigned, chain_id=4711), nonce)

    assert await ledger.send(b"\x02nonsense") is Sent.REFUSED
    assert await ledger.send(foreign.raw) is Sent.REFUSED
    assert await ledger.send(ahead.raw) is Sent.ACCEPTED
    assert await ledger.send(ahead.raw) is Sent.KNOWN
    assert await ledger.receipt(ahead.hash) is None
    assert await ledger.send(next_.raw) is Sent.ACCEPTED
    await plant.mined(next_.hash)
    other = key.sign(ledger.prepare(calls.Contest(plant.content())), nonce)
    assert await ledger.send(other.raw) is Sent.NONCE_USED
    for at in (nonce + 1, nonce + 2):  # so that the one ahead does not wait for ever
        await ledger.send(key.sign(unsigned, at).raw)
    assert (await plant.mined(ahead.hash)).hash == ahead.hash
    assert await ledger.nonce(key.address) == nonce + 4


async def test_blocks_are_a_chain_and_heads_come_as_they_are_made(plant: Plant) -> None:
    ledger = plant.ledger
    async with asyncio.timeout(60), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
        first = await anext(heads)
        receipt = await plant.do(plant.stranger, calls.Withdraw(plant.content()))
        async for head in heads:
            if head.number >= receipt.block:
                break
    block = await ledger.block(receipt.block)
    assert block is not None
    assert (block.number, block.hash) == (receipt.block, receipt.block_hash)
    parent = await ledger.block(block.number - 1)
    assert parent is not None
    assert parent.hash == block.parent
    assert parent.time <= block.time
    assert block.number > first.number
    assert (await ledger.head()).number >= block.number
    assert await ledger.block(block.number + 10_000) is None


async def test_what_the_consortium_says_is_read(plant: Plant) -> None:
    ledger = plant.ledger
    version = await ledger.current_version(ASSET)

    assert version == facts.Version(plant.version, ASSET, live=True, seats=SEATS, host=1, safety=3)
    assert await ledger.version(plant.version) == version
    for number in SEATS:
        verdict, governor = plant.verdicts[number - 1], plant.governors[number - 1]
        expected = facts.Organisation(number, verdict.address, governor.address)
        assert await ledger.organisation(number) == expected
        assert await ledger.organisation_of(verdict.address) == number
        assert await ledger.organisation_of(governor.address) is None
    assert await ledger.detector_live(DETECTOR)
    assert await ledger.device_live(ASSET, DEVICE)


async def test_what_nobody_registered_is_not_there(plant: Plant) -> None:
    ledger, other = plant.ledger, b"\x09" * 32

    assert await ledger.version(ids.VersionId(other)) is None
    assert await ledger.current_version(ids.AssetId(other)) is None
    assert await ledger.organisation(9) is None
    assert await ledger.organisation_of(NOBODY) is None
    assert not await ledger.detector_live(ids.DetectorId(other))
    assert not await ledger.device_live(ASSET, ids.DeviceId(other))
    assert not await ledger.device_live(ids.AssetId(other), DEVICE)
    assert await ledger.latest_order(ASSET, ids.EvidenceId(other)) is None
    assert await ledger.word(ids.OrderId(other)) == OrderWord.unpack(0)
    assert await ledger.receipt(ids.TxHash(other)) is None
    assert await ledger.nonce(NOBODY) == 0


async def test_a_proof_is_of_the_order_and_block_that_it_was_asked_for(plant: Plant) -> None:
    content = plant.content()
    receipt = await plant.do(plant.builder, calls.Propose((content,)))
    block = await plant.ledger.block(receipt.block)
    assert block is not None

    (proof,) = await plant.ledger.captures([plant.order(content)], block)

    assert proof is not None
    assert (proof.order, proof.block, proof.block_hash) == (
        plant.order(content),
        block.number,
        block.hash,
    )


async def test_a_transfer_of_nothing_uses_a_nonce_up_and_says_nothing(plant: Plant) -> None:
    ledger, key = plant.ledger, plant.stranger
    nonce = await ledger.nonce(key.address)
    unsigned = using_up(ledger.prepare(calls.Expire(plant.content())), key.address)
    signed = key.sign(unsigned, nonce)
    assert await ledger.send(signed.raw) in {Sent.ACCEPTED, Sent.KNOWN}
    assert (receipt := await plant.mined(signed.hash)).succeeded
    assert await plant.events(receipt) == []
    assert await ledger.nonce(key.address) == nonce + 1
