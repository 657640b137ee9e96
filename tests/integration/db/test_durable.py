"""What a commit means: nothing lost and nothing half, whenever the process dies."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from tests.conformance import rows as make
from tests.peers.postgres import PostgresCluster

KILLS = 4
FULL = 2  # PRAGMA synchronous
WRITER = """
import asyncio, sys
from ledger_service.db.session import SqlStore, make_engine
from tests.conformance import rows as make

async def main():
    store = SqlStore(make_engine(sys.argv[1]))
    first = int(sys.argv[2])
    for number in range(first, first + 10_000):
        async with store.transaction() as rows:
            await rows.evidence.add(make.evidence(number))
            await rows.outgoing.add(make.outgoing(await rows.outgoing.next_nonce(make.SIGNER, 0)))
            for to in ("documents", "erp"):
                await rows.outbox.add(make.delivery(number, to=to))
        print(number, flush=True)

asyncio.run(main())
"""


@pytest.fixture
def seed() -> int:
    chosen = random.SystemRandom().randrange(2**32)
    print("seed", chosen)  # noqa: T201  the way back to a failure
    return chosen


async def counts(store: SqlStore) -> tuple[int, int, int, int]:
    async with store.reading() as rows:
        sealed = await rows.evidence.list(limit=10**6)
        stored = await rows.outgoing.unfinished(make.SIGNER)
        waiting = await rows.outbox.counts()
    return (
        len(sealed),
        len(stored),
        waiting.get(("documents", "pending"), 0),
        waiting.get(("erp", "pending"), 0),
    )


def write_and_kill(url: str, first: int, seconds: float) -> list[int]:
    """Let a process commit for a while, kill it; return what it said was committed."""
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, url, str(first)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    told = [int(process.stdout.readline())]
    time.sleep(seconds)
    process.send_signal(signal.SIGKILL)
    told += [int(line) for line in process.stdout.read().split()]
    process.wait(20)
    process.stdout.close()
    return told


async def test_a_kill_in_the_middle_leaves_all_of_a_transaction_or_nothing(
    empty_url: str, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  moments of a test
    store = SqlStore(make_engine(empty_url))
    await upgrade(store.engine)
    for _ in range(KILLS):
        before = (await counts(store))[0]
        told = write_and_kill(empty_url, before + 1, chance.uniform(0.0, 0.15))
        after = await counts(store)

        assert len(set(after)) == 1, f"half a transaction: {after}"
        assert len(told) <= after[0] - before <= len(told) + 1
    await store.close()


async def test_sqlite_writes_ahead_and_fully_synchronised(tmp_path: Path) -> None:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'service.db'}")

    async with engine.connect() as connection:
        found = [
            (await connection.execute(text(f"PRAGMA {name}"))).scalar_one()
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    await engine.dispose()

    assert found == ["wal", FULL, 1, 30_000]


async def test_a_writer_holds_the_database_from_its_begin_and_a_reader_does_not(
    tmp_path: Path,
) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path / 'service.db'}"
    store = SqlStore(make_engine(url))
    await upgrade(store.engine)
    other = make_engine(url)
    async with other.connect() as connection:
        await connection.execute(text("PRAGMA busy_timeout = 0"))
        await connection.rollback()

        async with store.reading():
            await connection.execute(text("SELECT 1"))
            await connection.rollback()
        async with store.transaction():
            with pytest.raises(Exception, match="locked"):
                await connection.execute(text("SELECT 1"))
    await other.dispose()
    await store.close()


async def test_postgres_commits_synchronously_and_waits_for_nobody_for_ever(
    postgres: PostgresCluster,
) -> None:
    engine = make_engine(postgres.create())
    async with engine.connect() as connection:
        found = [
            (await connection.execute(text(f"SHOW {name}"))).scalar_one()
            for name in (
                "synchronous_commit",
                "lock_timeout",
                "idle_in_transaction_session_timeout",
                "transaction_isolation",
            )
        ]
    await engine.dispose()

    assert found == ["on", "30s", "1min", "read committed"]
