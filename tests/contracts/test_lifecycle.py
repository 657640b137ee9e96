"""The table of moves in the domain, compared with what the published contract does from each state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest
from eth_hash.auto import keccak

from ledger_service.domain import calls, ids
from ledger_service.domain.facts import OrderWord
from ledger_service.domain.lifecycle import MOVES, Outcome, Status
from ledger_service.domain.order import Content, order_id
from tests.contracts.plant import DAY, DETECTOR, RATIFY, Plant, address

NOTHING = bytes(32)


@dataclass(frozen=True)
class Step:
    """Who calls what, after waiting so many seconds."""

    name: str
    call: calls.Call
    wait: int = 0


def content_of(plant: Plant, builder: str) -> Content:
    return Content(
        evidence=ids.EvidenceId(keccak(builder.encode())),
        dataset_root=ids.DatasetRoot(NOTHING),
        order_digest=ids.OrderDigest(NOTHING),
        asset_version=plant.version,
        detector=DETECTOR,
        builder=address(builder),
        cost=1,
        deadline=plant.now() + 2 * DAY,
        attempt=1,
    )


def steps(content: Content, word: OrderWord) -> Iterator[Step]:
    """Yield every kind of call; of alike ones (approve, cancel) the next seat's."""
    yield Step("builder", calls.Propose((content,)))
    yield Step("governance 3", calls.ProposeEmergency(content, NOTHING))
    yield Step("governance 3", calls.Escalate(content, NOTHING))
    yield Step("builder", calls.Withdraw(content))
    yield Step("stranger", calls.Expire(content))
    yield Step("stranger", calls.Expire(content), 2 * DAY)
    yield Step("stranger", calls.Contest(content), RATIFY)
    yield Step("verdict 1", calls.Complete(content, Outcome.CURED, NOTHING))
    if word.status is not Status.NONE:  # verdicts before the proposal would settle it at once
        yield Step("verdict 1", calls.Refuse(content, 0, 1, NOTHING))
        seat = min(word.approved.bit_count(), 2)
        result = ids.ResultDigest(NOTHING)
        yield Step(f"verdict {seat + 1}", calls.Approve((content,), (seat,), (result,)))
    seat = min(word.against.bit_count(), 2)
    yield Step(f"verdict {seat + 1}", calls.Cancel(content, seat))


def explore(plant: Plant, content: Content) -> set[tuple[Status, Status]]:
    """Return every move that some call made, from every state that can be reached."""
    order, seen, found = order_id(content, plant.domain), set[OrderWord](), set()

    def visit() -> None:
        word = plant.word(order)
        known = replace(word, moved_at=0, proposed_at=0)
        if known in seen:
            return
        seen.add(known)
        for step in steps(content, word):
            snapshot = plant.tester.take_snapshot()
            if step.wait:
                plant.tester.time_travel(plant.now() + step.wait)
            if plant.act(step.name, step.call).error is None:
                found.add((word.status, plant.word(order).status))
                visit()
            plant.tester.revert_to_snapshot(snapshot)

    visit()
    return {(present, after) for present, after in found if present is not after}


@pytest.mark.timeout(900)
def test_the_contract_makes_the_moves_of_the_table_and_no_others() -> None:
    plant = Plant()
    made = explore(plant, content_of(plant, "builder"))
    made |= explore(plant, content_of(plant, "governance 3"))

    assert made == {(present, after) for present, ends in MOVES.items() for after in ends}
