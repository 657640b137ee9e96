"""The outbox by hand, on a database that nobody else uses."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import pytest

from ledger_service import ports
from ledger_service.cli import run
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain.records import Circuit, Delivery, DeliveryState
from tests.conformance import rows as make

T = TypeVar("T")
ORDER = make.order(1)
EVIDENCE = make.evidence(1)


def delivery(number: int, **changes: Any) -> Delivery:
    payload = {"evidence": EVIDENCE.id.hex(), "status": "Validated", "number": number}
    return make.delivery(number, to="erp", key=ORDER.id.hex(), payload=payload, **changes)


class Plant:
    """A service's folder with an order that has two deliveries to the ERP; the first is blocked."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.url = f"sqlite+aiosqlite:///{folder / 'mol.db'}"
        self.capsys = capsys
        asyncio.run(self._fill())

    def mol(self, *words: str) -> tuple[int, str]:
        """Run `mol relay ...`; return exit code and what it printed."""
        self.capsys.readouterr()
        code = run(["relay", *words])
        told = self.capsys.readouterr()
        return code, told.out + told.err

    def status(self) -> dict[str, Any]:
        code, told = self.mol("status", "--json")
        assert code == 0
        found: list[dict[str, Any]] = json.loads(told)
        return next(row for row in found if row["destination"] == "erp")

    def look(self, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
        async def opened() -> T:
            store = SqlStore(make_engine(self.url))
            async with store.transaction() as rows:
                found = await work(rows)
            await store.close()
            return found

        return asyncio.run(opened())

    def states(self) -> list[str]:
        async def ask(rows: ports.Transaction) -> list[str]:
            return [item.state.value for item in await rows.outbox.of_order(ORDER.id.hex())]

        return self.look(ask)

    async def _fill(self) -> None:
        store = SqlStore(make_engine(self.url))
        await upgrade(store.engine)
        async with store.transaction() as rows:
            await rows.evidence.add(EVIDENCE)
            await rows.orders.add(ORDER)
            for number in (1, 2):
                await rows.outbox.add(delivery(number))
            (item,) = await rows.outbox.claim("erp", "me", make.NOW, make.later(9), 9)
            state = DeliveryState.BLOCKED
            await rows.outbox.settle([make.outcome(item, state=state, reason="no supplier")])
            until = make.later(10**8)
            await rows.circuits.put(Circuit("erp", 6, make.NOW, make.NOW, until, "refused"))
        await store.close()


@pytest.fixture
def plant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> Plant:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mol.toml").touch()
    return Plant(tmp_path, capsys)


def test_the_status_shows_what_is_blocked_and_who_does_not_answer(plant: Plant) -> None:
    found = plant.status()

    assert (found["blocked"], found["pending"], found["circuit"]) == (1, 1, "open")
    assert [item["id"] for item in found["blockedDeliveries"]] == [delivery(1).dedup]
    code, told = plant.mol("status")
    assert code == 0
    assert "no supplier" in told


def test_a_retry_frees_what_is_blocked_and_asks_the_destination_again(plant: Plant) -> None:
    code, told = plant.mol("retry", "erp")

    assert (code, told) == (0, "2 due again\n")
    assert plant.states() == ["pending", "pending"]
    assert plant.status()["circuit"] == "closed"


def test_a_delivery_is_given_up_once_with_a_reason_that_is_kept(plant: Plant) -> None:
    line = ("give-up", "erp", delivery(1).dedup)
    assert plant.mol(*line)[0] == 2
    assert plant.mol(*line, "--reason", " ")[0] == 2
    assert plant.states() == ["blocked", "pending"]

    assert plant.mol(*line, "--reason", "ordered by telephone")[0] == 0
    code, told = plant.mol(*line, "--reason", "again")

    assert code == 1
    assert "No delivery that waits has this id." in told
    assert plant.states() == ["dead", "pending"]
    hops = plant.look(lambda rows: rows.evidence.hops(EVIDENCE.id))
    assert [hop.detail for hop in hops] == ["given up by a person: ordered by telephone"]


def test_a_replay_needs_no_more_of_an_orders_id_than_tells_it_apart(plant: Plant) -> None:
    code, told = plant.mol("replay", "erp", ORDER.id.hex()[:12])
    assert (code, told) == (0, "2 due again\n")
    assert plant.states() == ["pending", "pending"]

    assert plant.mol("replay", "documents", ORDER.id.hex()[:12])[0] == 1
    assert plant.mol("replay", "erp", "ffff")[0] == 1
    assert plant.mol("replay", "nowhere", ORDER.id.hex()[:12])[0] == 2


def test_what_was_pruned_cannot_come_again_and_it_is_said(plant: Plant) -> None:
    async def prune(rows: ports.Transaction) -> int:
        await rows.outbox.give_up("erp", delivery(1).dedup, "no", make.NOW)
        return await rows.outbox.prune(make.later(1), 9)

    assert plant.look(prune) == 1
    assert plant.mol("replay", "erp", ORDER.id.hex())[1] == "1 due again, 1 were pruned\n"


def test_a_pause_is_seen_and_ended(plant: Plant) -> None:
    assert plant.mol("pause", "erp")[0] == 0
    assert plant.status()["paused"]
    assert plant.mol("resume", "erp")[0] == 0
    assert not plant.status()["paused"]
