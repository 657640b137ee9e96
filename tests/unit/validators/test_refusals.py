from __future__ import annotations

import hashlib

import pytest

from ledger_service.domain.calls import Approve, Refuse
from ledger_service.domain.facts import Refused
from ledger_service.domain.result import Reason
from ledger_service.testing.signer import decode
from tests.unit.validators.world import Running, World
from tests.unit.validators.wrongs import CASES, Wrong


@pytest.fixture
def world(world: World) -> World:
    world.policy = world.policy.model_copy(update={"suppliers": ("SUP-0009",)})
    return world


@pytest.mark.parametrize(
    ("reason", "says", "case"), CASES, ids=[case.__name__ for _, __, case in CASES]
)
async def test_it_is_refused_with_its_reason_and_never_approved(
    world: World, us: Running, reason: Reason, says: str, case: Wrong
) -> None:
    item = case(world)
    await world.propose_anyhow(item)
    await us.agent.consider(item)

    assert us.verdict(item) == ("refuse", reason.name)
    calls = [decode(raw).call for raw in us.wire.sent]
    assert not [call for call in calls if isinstance(call, Approve)]
    text = us.memory.verdicts[item.order]["text"]
    assert says in text
    detail = hashlib.sha256(text.encode()).digest()
    assert calls == [Refuse(item.content, 1, int(reason), detail)]
    block = await world.ledger.mine()
    event = (await world.ledger.facts(block))[0].event
    assert isinstance(event, Refused)
    assert (event.reason, event.detail) == (reason, detail)
    assert not [path for path in us.kept._folder.iterdir() if path.name.startswith(".")]


def test_every_reason_has_its_case() -> None:
    elsewhere = {
        Reason.OTHER,  # test_person
        Reason.SEQUENCE_FORK,  # test_history
        Reason.DATASET_REPEATED,  # test_history
        Reason.EPISODE_REPEATED,  # test_history
        Reason.NOT_PROPOSED,  # test_house
        Reason.NOT_ACCOUNTED,  # test_accounts
    }

    assert {reason for reason, _, __ in CASES} | elsewhere == set(Reason)
