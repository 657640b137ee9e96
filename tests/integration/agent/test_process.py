from __future__ import annotations

import asyncio
import random
import secrets
import signal
from pathlib import Path

import pytest

from ledger_service.domain import result
from ledger_service.domain.facts import Approved, Refused
from ledger_service.domain.result import Reason
from tests.integration.agent.plant import Plant, until, verdicts
from tests.peers.embedded import EmbeddedChain
from validators.journal.file import read
from validators.rules.case import Announced

KILLS = 6


async def test_an_agent_that_is_killed_at_random_moments_says_each_verdict_once(
    plant: Plant,
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  to run it again
    rng = random.Random(seed)  # noqa: S311  a test's choice of moments
    ledger = plant.founded.ledger()
    good: list[Announced] = []
    bad: list[Announced] = []
    plant.agent.start()
    for kill in range(KILLS):
        good += [plant.order(), plant.order(told=False)]
        bad.append(plant.order(cost=1))
        await plant.propose(ledger, good[-1])  # the feed is silent about this one
        await plant.propose(ledger, bad[-1])
        await asyncio.sleep(rng.uniform(0, 3.5) if kill else rng.uniform(2, 4))
        plant.agent.end(signal.SIGKILL)
        plant.agent.start()

    async def all_said() -> bool:
        return len(await verdicts(ledger)) == len(good) + len(bad)

    await until(all_said, plant.agent)
    code = plant.agent.end(signal.SIGTERM)
    found = await verdicts(ledger)
    nonce = await ledger.nonce(plant.founded.verdict(2).address)
    await ledger.close()

    assert code == 0
    assert [[type(e) for e in found[item.order]] for item in good] == [[Approved]] * len(good)
    assert [[type(e) for e in found[item.order]] for item in bad] == [[Refused]] * len(bad)
    refusals = [e for item in bad for e in found[item.order] if isinstance(e, Refused)]
    assert {e.reason for e in refusals} == {Reason.COST_DIFFERS}
    signed = [
        inner
        for entry in read(plant.agent.root)
        for inner in entry.get("entries", [entry])
        if inner["kind"] == "signed"
    ]
    assert len({entry["raw"] for entry in signed}) == nonce <= len(good) + len(bad)


async def test_the_result_that_is_handed_in_opens_the_digest_on_chain(plant: Plant) -> None:
    ledger, item = plant.founded.ledger(), plant.order()
    plant.agent.start()

    async def handed_in() -> bool:
        return item.order.hex() in plant.feed.results and item.order in await verdicts(ledger)

    await until(handed_in, plant.agent)
    (event,) = (await verdicts(ledger))[item.order]
    await ledger.close()

    assert isinstance(event, Approved)
    document = plant.feed.results[item.order.hex()]
    assert result.result_digest(document) == event.result
    assert result.loads(document).agreement == "bit-equal"


async def test_a_node_that_is_killed_and_comes_back_costs_time_and_no_verdict(
    plant: Plant, chain: EmbeddedChain
) -> None:
    ledger = plant.founded.ledger()
    plant.agent.start()
    items = [plant.order()]
    await asyncio.sleep(2)
    chain.end(signal.SIGKILL)
    items.append(plant.order())
    await asyncio.sleep(1)
    chain.start()
    items.append(plant.order())

    async def all_said() -> bool:
        return len(await verdicts(ledger)) == len(items)

    await until(all_said, plant.agent)
    found = await verdicts(ledger)
    await ledger.close()

    assert [len(found[item.order]) for item in items] == [1, 1, 1]


async def test_a_folder_that_lost_its_journal_says_nothing_twice(plant: Plant) -> None:
    ledger, first = plant.founded.ledger(), plant.order()
    plant.agent.start()

    async def said(count: int) -> bool:
        return len(await verdicts(ledger)) == count

    await until(lambda: said(1), plant.agent)
    await plant.propose(ledger, first)
    plant.agent.end(signal.SIGKILL)
    (plant.agent.root / "journal.jsonl").unlink()
    second = plant.order()
    plant.agent.start()
    await until(lambda: said(2), plant.agent)
    plant.agent.end(signal.SIGTERM)
    found = await verdicts(ledger)
    await ledger.close()

    assert [len(found[item.order]) for item in (first, second)] == [1, 1]
    journal = (plant.agent.root / "journal.jsonl").read_text(encoding="utf-8")
    assert "the chain" in journal


async def test_the_key_is_in_no_argument_no_log_no_journal_and_no_file(plant: Plant) -> None:
    ledger, item = plant.founded.ledger(), plant.order()
    plant.agent.start()
    assert plant.agent.process is not None

    async def said() -> bool:
        return item.order in await verdicts(ledger)

    await until(said, plant.agent)
    proc = Path("/proc") / str(plant.agent.process.pid)
    seen = (proc / "cmdline").read_bytes() + (proc / "environ").read_bytes()
    plant.agent.end(signal.SIGTERM)
    await ledger.close()

    files = [path.read_bytes() for path in plant.agent.root.rglob("*") if path.is_file()]
    secret = plant.agent.key.hex().encode()
    for data in (seen, *files):
        assert secret not in data.lower()
        assert plant.agent.key not in data
    spoken = seen + plant.agent.log.encode() + (plant.agent.root / "journal.jsonl").read_bytes()
    assert plant.feed.token.encode() not in spoken
    assert b"a password" not in spoken


def test_a_second_agent_in_the_folder_and_a_wrong_password_end_at_once_and_say_why(
    plant: Plant,
) -> None:
    plant.agent.start()
    asyncio.run(until(lambda: _runs(plant), plant.agent))
    second = plant.agent.call("run")
    assert (second.returncode, "Another agent runs" in second.stderr) == (1, True)
    plant.agent.end(signal.SIGTERM)

    (plant.agent.root / "verdict.password").write_text("another", encoding="utf-8")
    wrong = plant.agent.call("run")
    assert (wrong.returncode, "Wrong password" in wrong.stderr) == (2, True)
    (plant.agent.root / "verdict.password").chmod(0o644)
    open_to_all = plant.agent.call("run")
    assert (open_to_all.returncode, "Others may read" in open_to_all.stderr) == (2, True)


async def _runs(plant: Plant) -> bool:
    return "agent runs" in plant.agent.log


@pytest.mark.parametrize("policy", ["cost_limt = 5"])
def test_a_mistake_in_the_policy_file_is_explained(plant: Plant) -> None:
    done = plant.agent.call("run")

    assert done.returncode == 2
    assert "policy.cost_limt: Extra inputs are not permitted" in done.stderr
    assert "Traceback" not in done.stderr
