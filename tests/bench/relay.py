"""`relay`: settled facts per second to each destination, also under kill -9, and the lag of a live one.

Relays and receiver are processes of their own. Each fact is one signed POST, answered before it is
settled, and settled means committed on disk; facts of one order go one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Delivery
from tests.bench.figures import Against, Result, Target, median, percentile
from tests.bench.options import Options, fresh
from tests.peers import postgres, relay_run
from tests.peers.relay_run import Verdict, Worker

#: FireFly 1.5's published long run; and what its backlog gave on a machine like ours: acknowledged by
#: the fifty over one websocket, nothing signed.
LONG_RUN = Against("FireFly 1.5, long run, published", 54.9)
BACKLOG = Against("FireFly 1.5.1, backlog, acks of 50", 4753)
DOUBLED = Against("FireFly 1.5.1 after a kill -9, least of 5", 1037)
HANDS = 64
KILLS, WORKERS, LEASE_SECONDS = 10, 3, 2.0
MOST_SECONDS = 900.0
LIVE, LIVE_PAUSE = 60, 0.1
#: Facts that are through before the clock starts: the relay's start is not measured.
WARM = 100
NONE, LAG = Target(0, "at most", "value"), Target(0.25, "at most", "value")
SINGLE = (Status.VALIDATED,)


@dataclass(frozen=True, slots=True)
class Base:
    """A kind of database, and how an empty one is made."""

    name: str
    make: Callable[[], str]

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[tuple[str, SqlStore]]:
        """Make one with the schema."""
        url = self.make()
        store = SqlStore(make_engine(url))
        await upgrade(store.engine)
        try:
            yield url, store
        finally:
            await store.close()


async def measure(options: Options) -> list[Result]:
    """Measure on SQLite and, where it is installed, on PostgreSQL, both with fsync."""
    folder = fresh("relay")
    results: list[Result] = []
    with contextlib.ExitStack() as stack:
        bases = [Base("SQLite", lambda: _file(folder))]
        if postgres.programs() is None:
            options.say("PostgreSQL is not installed: left out")
        else:
            cluster = stack.enter_context(postgres.running_postgres(postgres.DURABLE))
            bases.append(Base("PostgreSQL", cluster.create))
        for base in bases:
            results += await _backlog(options, base)
            results += await _killed(options, base)
            results += await _live(options, base)
        results += await _kinds(options, bases[0], folder)
    return results


def _file(folder: Path) -> str:
    return f"sqlite+aiosqlite:///{folder / f'{time.time_ns()}.db'}"


async def _backlog(options: Options, base: Base) -> list[Result]:
    results = []
    for count in (1,) if base.name == "SQLite" else (1, 2):
        options.say(f"{base.name}: {options.facts} facts to a webhook, {count} relay(s)")
        async with base.opened() as (url, store), relay_run.receiving() as hook:
            planned = _facts("events", options.facts)
            await relay_run.fill(store, planned)
            worker = Worker(url, "webhook", hook, hands=HANDS)
            rate = await _rate(store, worker, count)
            _check(relay_run.judge(planned, await relay_run.arrivals(hook)))
        metric = f"backlog to a webhook, {base.name}, {count} relay(s)"
        results += [Result(metric, rate, "facts/s", rival) for rival in (LONG_RUN, BACKLOG)]
    return results


async def _killed(options: Options, base: Base) -> list[Result]:
    """Kill a relay ten times while a backlog is delivered; each comes back at once."""
    options.say(f"{base.name}: {KILLS} kills of {WORKERS} relays")
    chance = random.Random(options.seed)  # noqa: S311  moments of kills
    async with base.opened() as (url, store), relay_run.receiving(0.02) as hook:
        planned = _facts("events", options.facts)
        await relay_run.fill(store, planned)
        worker = Worker(url, "webhook", hook, lease_seconds=LEASE_SECONDS, hands=4)
        try:
            for _ in range(WORKERS):
                await worker.start()
            await _until(store, len(planned) - 1)
            killed = 0
            while killed < KILLS and (await relay_run.counts(store)).get("pending"):
                await asyncio.sleep(chance.uniform(0.5, 1.5))
                await worker.kill(chance.choice(worker.processes))
                await worker.start()
                killed += 1
            await relay_run.until_done(store, MOST_SECONDS)
        finally:
            await worker.stop()
        verdict = relay_run.judge(planned, await relay_run.arrivals(hook))
    where = f"{base.name}, {killed} kills of {WORKERS} relays"
    return [
        Result(f"lost, {where}", verdict.lost, "facts", None, NONE),
        Result(f"doubled in effect, {where}", verdict.doubled, "facts", DOUBLED, NONE),
        Result(f"out of order, {where}", verdict.out_of_order, "facts", None, NONE),
        Result(f"sent again, known by their id, {where}", verdict.repeats, "requests", DOUBLED),
    ]


async def _live(options: Options, base: Base) -> list[Result]:
    """Add a fact now and then, as the follower does; a relay in another process delivers it."""
    options.say(f"{base.name}: {LIVE} facts, one by one")
    async with base.opened() as (url, store), relay_run.receiving() as hook:
        worker = Worker(url, "webhook", hook)
        try:
            await worker.start()
            added = await _add_live(store)
        finally:
            await worker.stop()
        came = dict(await relay_run.arrivals(hook))
    lags = [came[identity] - at for identity, at in added.items()]
    metric = f"fact committed to delivered, {base.name}, another process"
    return [
        Result(f"{metric}, p50", median(lags), "s", None, LAG),
        Result(f"{metric}, p95", percentile(lags, 95), "s"),
    ]


async def _add_live(store: SqlStore) -> dict[str, float]:
    """Return event id -> when its fact was committed."""
    planned = _facts("events", LIVE + 1, SINGLE)
    await relay_run.fill(store, planned[:1])
    await relay_run.until_done(store, MOST_SECONDS)  # the relay is up
    added = {}
    for item in planned[1:]:
        await asyncio.sleep(LIVE_PAUSE)
        await relay_run.fill(store, [item])
        added[str(item.payload["eventId"])] = time.time()
    await relay_run.until_done(store, MOST_SECONDS)
    return added


async def _kinds(options: Options, base: Base, folder: Path) -> list[Result]:
    """Deliver a backlog to each embedded destination; each file of them is fsynced."""
    results = []
    for kind in ("documents", "erp", "notifications", "events"):
        count = max(options.facts // 6, 2 * WARM)
        options.say(f"{base.name}: {count} facts to {kind}")
        async with base.opened() as (url, store):
            await relay_run.fill(store, _facts(kind, count))
            rate = await _rate(store, Worker(url, kind, str(folder / kind)), 1)
        results.append(Result(f"backlog to {kind} in a folder", rate, "facts/s"))
    return results


async def _rate(store: SqlStore, worker: Worker, count: int) -> float:
    """Return facts settled per second, from when the first hundred were."""
    total = (await relay_run.counts(store))["pending"]
    try:
        for _ in range(count):
            await worker.start()
        left = await _until(store, total - WARM)
        start = time.monotonic()
        await relay_run.until_done(store, MOST_SECONDS)
        return left / (time.monotonic() - start)
    finally:
        await worker.stop()


async def _until(store: SqlStore, most: int) -> int:
    """Wait until no more than so many are pending; return how many are."""
    async with asyncio.timeout(MOST_SECONDS):
        while (left := (await relay_run.counts(store)).get("pending", 0)) > most:  # noqa: ASYNC110
            await asyncio.sleep(0.02)
    return left


def _facts(to: str, count: int, life: Sequence[Status] = relay_run.LIFE) -> list[Delivery]:
    return relay_run.facts(to, range(count // len(life)), life)


def _check(verdict: Verdict) -> None:
    assert (verdict.lost, verdict.doubled, verdict.out_of_order) == (0, 0, 0), verdict
