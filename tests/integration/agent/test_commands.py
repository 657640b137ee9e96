from __future__ import annotations

import asyncio
import json
import signal

import pytest

from ledger_service.domain.facts import Approved, Refused
from ledger_service.domain.result import Reason
from tests.integration.agent.plant import Plant, until, verdicts
from validators.rules.case import Announced


@pytest.fixture
def policy() -> str:
    return "episode_hours = 0\nperson_above = 0"


def waiting(plant: Plant) -> list[Announced]:
    """Let the agent meet two orders that a person must decide, and stop it."""
    items = [plant.order(), plant.order()]

    journal = plant.agent.root / "journal.jsonl"

    async def both() -> bool:
        return journal.exists() and journal.read_text("utf-8").count('"asked"') == len(items)

    plant.agent.start()
    asyncio.run(until(both, plant.agent))
    return items


def on_chain(plant: Plant) -> dict[bytes, list[Approved | Refused]]:
    async def read() -> dict[bytes, list[Approved | Refused]]:
        ledger = plant.founded.ledger()
        try:
            return {bytes(order): said for order, said in (await verdicts(ledger)).items()}
        finally:
            await ledger.close()

    return asyncio.run(read())


def test_a_person_sees_approves_and_refuses_while_the_agent_runs(plant: Plant) -> None:
    yes, no = waiting(plant)
    call = plant.agent.call

    pending = call("pending")
    assert yes.order.hex() in pending.stdout
    assert "more than 0.00" in pending.stdout
    shown = json.loads(call("show", yes.order.hex()[:12], "--json").stdout)
    review = shown["review"]
    assert review["score recomputed"] == review["score claimed"]
    assert review["possible"] is True
    assert review["order digest"] == yes.content.order_digest.hex()

    approved = call("approve", yes.order.hex(), "--yes")
    assert (approved.returncode, "signed and sent" in approved.stderr) == (0, True)
    assert "score recomputed" in approved.stdout
    refused = call("refuse", no.order.hex(), "--reason", "the line is stopped anyway", "--yes")
    assert refused.returncode == 0

    found = on_chain(plant)
    assert [type(event) for event in found[yes.order]] == [Approved]
    (refusal,) = found[no.order]
    assert isinstance(refusal, Refused)
    assert refusal.reason == Reason.OTHER
    status = json.loads(call("status", "--json").stdout)
    assert (status["running"], status["approved"], status["refused"]) == (True, 1, 1)
    again = call("approve", yes.order.hex(), "--yes")
    assert (again.returncode, "does not wait" in again.stderr) == (1, True)


def test_a_decision_is_signed_here_if_no_agent_runs(plant: Plant) -> None:
    yes, no = waiting(plant)
    plant.agent.end(signal.SIGTERM)
    call = plant.agent.call

    assert call("approve", yes.order.hex(), "--yes").returncode == 0
    assert call("refuse", no.order.hex(), "--reason", "not now", "--yes").returncode == 0
    found = on_chain(plant)
    assert [type(event) for event in (*found[yes.order], *found[no.order])] == [Approved, Refused]
    assert json.loads(call("status", "--json").stdout)["running"] is False


def test_what_does_not_hold_when_it_is_recomputed_is_not_signed(plant: Plant) -> None:
    item, other = waiting(plant)
    plant.agent.end(signal.SIGTERM)
    evidence = item.content.evidence.hex()
    for kept in (plant.agent.root / "kept").iterdir():
        kept.unlink()
    plant.feed.files[evidence, "samples.csv"] += b"one more line\n"
    call = plant.agent.call

    refused = call("approve", item.order.hex(), "--yes")
    assert refused.returncode == 1
    assert "cannot be approved: Digest mismatch" in refused.stderr
    unasked = call("approve", other.order.hex())
    assert (unasked.returncode, "give --yes" in unasked.stderr) == (2, True)
    unreasoned = call("refuse", other.order.hex(), "--reason", " ", "--yes")
    assert (unreasoned.returncode, "needs a reason" in unreasoned.stderr) == (2, True)
    unknown = call("show", "ffff")
    assert (unknown.returncode, "No such order" in unknown.stderr) == (1, True)
    ambiguous = call("show", "")
    assert ambiguous.returncode == 1

    assert on_chain(plant) == {}
    assert "possible" in call("show", other.order.hex()).stdout
