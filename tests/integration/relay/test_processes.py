"""Relays as processes, to a receiver that takes each event once: killed, frozen, without a database."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain.lifecycle import Status
from tests.peers import relay_run
from tests.peers.postgres import PostgresCluster
from tests.peers.relay_run import Verdict, Worker

LEASE = 1.0
ORDERS = 150
KILLS = 4
THINKS = 0.1
MOST_SECONDS = 90.0

Trouble = Callable[[Worker], Awaitable[None]]


@pytest.fixture
def chance() -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201  to run it again
    return random.Random(seed)  # noqa: S311  moments of a test


@asynccontextmanager
async def workers(url: str, hook: str, count: int) -> AsyncIterator[Worker]:
    worker = Worker(url, "webhook", hook, lease_seconds=LEASE, hands=6)
    try:
        for _ in range(count):
            await worker.start()
        yield worker
    finally:
        await worker.stop()


async def through(url: str, count: int, trouble: Trouble) -> Verdict:
    """Deliver a backlog with so many processes while there is trouble; judge what came."""
    planned = relay_run.facts("events", range(ORDERS))
    store = SqlStore(make_engine(url))
    await relay_run.fill(store, planned)
    async with relay_run.receiving(THINKS) as hook, workers(url, hook, count) as worker:
        while not await relay_run.arrivals(hook):  # noqa: ASYNC110  another process
            await asyncio.sleep(0.05)
        await trouble(worker)
        left = (await relay_run.counts(store)).get("pending", 0)
        assert left, "all was through before the trouble was over: it shows nothing"
        await relay_run.until_done(store, MOST_SECONDS)
        verdict = relay_run.judge(planned, await relay_run.arrivals(hook))
    assert await relay_run.counts(store) == {"done": len(planned)}
    await store.close()
    return verdict


async def test_relays_that_are_killed_again_and_again_lose_double_and_reorder_nothing(
    url: str, chance: random.Random
) -> None:
    async def kill(worker: Worker) -> None:
        for _ in range(KILLS):
            await asyncio.sleep(chance.uniform(0.05, 0.3))
            await worker.kill(chance.choice(worker.processes))
            await worker.start()

    verdict = await through(url, 3, kill)

    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0)


async def test_a_relay_that_is_killed_and_never_comes_back_leaves_its_orders_to_the_others(
    url: str,
) -> None:
    async def kill(worker: Worker) -> None:
        await worker.kill(worker.processes[0])

    verdict = await through(url, 2, kill)

    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0)
    assert verdict.repeats <= 6  # what it had in its hands


async def test_a_relay_that_stood_still_longer_than_its_lease_changes_nothing_when_it_goes_on(
    url: str,
) -> None:
    async def freeze(worker: Worker) -> None:
        frozen = worker.processes[0]
        frozen.send_signal(signal.SIGSTOP)
        await asyncio.sleep(2.5 * LEASE)
        frozen.send_signal(signal.SIGCONT)

    verdict = await through(url, 2, freeze)

    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0)


async def test_a_database_that_is_killed_in_the_middle_costs_nothing_that_was_delivered(
    postgres_url: str, postgres: PostgresCluster
) -> None:
    async def crash(worker: Worker) -> None:
        assert len(worker.processes) == 2
        for _ in ("once", "and again"):
            await asyncio.to_thread(postgres.crash)
            await asyncio.sleep(0.3)

    verdict = await through(postgres_url, 2, crash)

    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0)


async def test_what_one_process_adds_another_delivers_at_once(
    postgres_url: str,
) -> None:
    store = SqlStore(make_engine(postgres_url))
    async with relay_run.receiving() as hook, workers(postgres_url, hook, 1):
        await relay_run.fill(store, relay_run.facts("events", range(1), [Status.VALIDATED]))
        await relay_run.until_done(store, MOST_SECONDS)
        assert len(await relay_run.arrivals(hook)) == 1
    await store.close()
