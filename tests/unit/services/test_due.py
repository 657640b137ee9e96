from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import pytest

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.services.due import Due
from ledger_service.testing import FakeClock, MemoryStore
from tests.conformance import rows as make
from tests.unit.services.relaying import completed, documents, kinds, run
from tests.unit.services.site import Site, World


class Counted(MemoryStore):
    """Counts what is begun; a look takes until the test opens the gate."""

    def __init__(self) -> None:
        super().__init__()
        self.looks = 0
        self.writers = 0
        self.faults: list[Exception] = []
        self.begun = asyncio.Event()
        self.gate = asyncio.Event()
        self.gate.set()

    def transaction(self) -> AbstractAsyncContextManager[ports.Transaction]:
        self.writers += 1
        return super().transaction()

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[ports.Transaction]:
        self.looks += 1
        self.begun.set()
        async with super().reading() as rows:
            await self.gate.wait()
            if self.faults:
                raise self.faults.pop()
            yield rows


async def added(store: MemoryStore, to: str) -> None:
    async with store.transaction() as rows:
        await rows.outbox.add(make.delivery(1, to=to))


def looking(store: MemoryStore) -> Due:
    clock = FakeClock()
    clock.advance(hours=24 * 365 * 20)  # whenever the rows were made, they are due
    return Due(store, clock, ["documents", "erp", "mail"])


async def test_all_that_ask_at_once_share_one_look() -> None:
    store = Counted()
    due = looking(store)
    await added(store, "erp")

    assert await asyncio.gather(*map(due.at, ["documents", "erp", "mail"])) == [False, True, False]
    assert store.looks == 1

    assert await due.at("erp")
    assert store.looks == 2


async def test_who_asks_while_a_look_is_under_way_gets_a_newer_one() -> None:
    store = Counted()
    due = looking(store)
    store.gate.clear()
    early = asyncio.create_task(due.at("erp"))
    await store.begun.wait()
    await added(store, "erp")
    late = [asyncio.create_task(due.at("erp")) for _ in range(2)]
    await asyncio.sleep(0)

    store.gate.set()

    assert (await early, *[await one for one in late]) == (False, True, True)
    assert store.looks == 2


async def test_a_look_that_fails_or_is_given_up_answers_nobody_else() -> None:
    store = Counted()
    due = looking(store)
    await added(store, "erp")
    store.faults.append(errors.StorageError("away"))
    first, second = (asyncio.create_task(due.at("erp")) for _ in range(2))
    with pytest.raises(errors.StorageError):
        await first
    assert await second

    store.gate.clear()
    store.begun.clear()
    first, second = (asyncio.create_task(due.at("erp")) for _ in range(2))
    await store.begun.wait()
    first.cancel()
    store.gate.set()
    assert await second


async def test_relays_that_have_nothing_to_do_write_nothing() -> None:
    store = Counted()
    site = Site(World(store=store))
    await completed(site)
    relay, destination = documents(site)
    await run(relay)
    assert len(kinds(destination)) == 2
    writers = store.writers

    for _ in range(3):
        assert not await relay.step()

    assert store.writers == writers
