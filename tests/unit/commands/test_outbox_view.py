from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service import ports
from ledger_service.commands.findings import Finding
from ledger_service.commands.outbox_view import outbox_finding, print_standing, standing
from ledger_service.domain.records import Circuit, DeliveryState
from ledger_service.testing import MemoryStore
from tests.conformance import rows as make

AWAY = Circuit("erp", 7, make.later(0), make.later(1), make.later(61), "connection refused")


async def examined(store: ports.Store) -> Finding:
    async with store.reading() as rows:
        return outbox_finding(await standing(rows, make.later(2)))


async def block_one(store: ports.Store) -> None:
    async with store.transaction() as rows:
        await rows.outbox.add(make.delivery(1))
        await rows.outbox.add(make.delivery(2))
        (item,) = await rows.outbox.claim("documents", "me", make.NOW, make.later(9), 9)
        state = DeliveryState.BLOCKED
        await rows.outbox.settle([make.outcome(item, state=state, reason="unknown supplier")])


async def test_an_outbox_in_which_all_goes_well_is_well() -> None:
    store = MemoryStore()
    async with store.transaction() as rows:
        await rows.outbox.add(make.delivery(1))
        await rows.circuits.put(replace(AWAY, failures=1, held_at=None, until=None))

    assert await examined(store) == Finding("outbox", ok=True, text="nothing is blocked")


async def test_what_is_blocked_is_an_alarm_that_says_where_and_what_to_do() -> None:
    store = MemoryStore()
    await block_one(store)

    found = await examined(store)

    assert (found.ok, found.text) == (False, "documents: 1 blocked")
    assert "mol relay retry" in found.todo


async def test_a_destination_that_does_not_answer_is_an_alarm_until_it_does() -> None:
    store = MemoryStore()
    async with store.transaction() as rows:
        await rows.circuits.put(AWAY)

    found = await examined(store)

    assert not found.ok
    assert "erp: 7 failure(s) in a row" in found.text
    assert "connection refused" in found.text


async def test_a_pause_is_said_and_is_no_alarm() -> None:
    store = MemoryStore()
    async with store.transaction() as rows:
        await rows.outbox.pause("erp", True)

    assert await examined(store) == Finding("outbox", ok=True, text="erp is paused")


async def test_a_destination_is_described_whole() -> None:
    store = MemoryStore()
    await block_one(store)
    async with store.transaction() as rows:
        await rows.circuits.put(replace(AWAY, destination="documents"))

    async with store.reading() as rows:
        early = await standing(rows, make.later(2))
        late = await standing(rows, make.later(62))

    assert early == [
        {
            "destination": "documents",
            "pending": 1,
            "done": 0,
            "blocked": 1,
            "dead": 0,
            "paused": False,
            "circuit": "open",
            "failures": 7,
            "until": "2026-11-24T09:01:01+00:00",
            "why": "connection refused",
            "oldestSeconds": 2,
            "blockedDeliveries": [
                {
                    "id": make.delivery(1).dedup,
                    "order": "a",
                    "kind": "Validated",
                    "reason": "unknown supplier",
                }
            ],
        }
    ]
    assert late[0]["circuit"] == "half-open"


async def test_people_read_what_is_wrong_and_may_copy_the_id(
    capsys: pytest.CaptureFixture[str],
) -> None:
    store = MemoryStore()
    await block_one(store)
    async with store.reading() as rows:
        print_standing(await standing(rows, make.later(2)))

    told = capsys.readouterr().out
    assert make.delivery(1).dedup in told
    assert "unknown supplier" in told
    assert "mol relay give-up" in told
