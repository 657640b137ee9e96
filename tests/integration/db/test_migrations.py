from __future__ import annotations

import asyncio
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, bindparam, inspect, text
from sqlalchemy.ext.asyncio import AsyncEngine

from ledger_service.db import migrations, transfer
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.db.tables import Moment, metadata
from ledger_service.domain import errors
from ledger_service.domain.records import Result
from tests.conformance import rows as make

UPGRADE = """
import asyncio, sys
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import make_engine

async def main():
    engine = make_engine(sys.argv[1])
    await upgrade(engine)
    await engine.dispose()

asyncio.run(main())
"""


FIRST_ROW = """
    INSERT INTO outbox (dedup, destination, key, kind, payload, created_at, state, attempts, due,
        owner, lease_until, reason, reference, block)
    VALUES (:number, 'erp', 'a', 'Validated', '{"number": 1}', :at, :state, 0, :at, '', :at, '', '{}', 1)
"""


RESULT_ROW = (
    'INSERT INTO result ("order", organisation, document) VALUES (:order, :organisation, :document)'
)
RESULTS = 600  # of two orders: some pages of the migration, and a part of one


def to_first(connection: Connection) -> None:
    """Make the schema of the first migration, as `upgrade` makes the newest."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "0001")


def differences(connection: Connection) -> list[object]:
    context = MigrationContext.configure(
        connection, opts={"compare_type": True, "compare_server_default": True}
    )
    return list(compare_metadata(context, metadata))


async def test_the_migrations_make_the_tables_that_the_program_knows(empty_url: str) -> None:
    engine = make_engine(empty_url)
    await upgrade(engine)

    async with engine.connect() as connection:
        found = await connection.run_sync(differences)
        names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    await engine.dispose()

    assert found == []
    assert set(names) == {*metadata.tables, "alembic_version"}


async def test_no_schema_of_before_has_a_table_that_copies_would_leave_out(empty_url: str) -> None:
    engine = make_engine(empty_url)
    script = ScriptDirectory(str(Path(migrations.__file__).parent))
    for revision in reversed([known.revision for known in script.walk_revisions()]):
        async with engine.begin() as connection:
            await connection.run_sync(migrations.bring, revision)
            names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
        assert set(names) <= {*transfer.OURS, "alembic_version"}, revision
    await engine.dispose()


async def test_a_database_with_rows_is_left_as_it_is_by_the_next_start(empty_url: str) -> None:
    store = SqlStore(make_engine(empty_url))
    await upgrade(store.engine)
    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(1))

    await upgrade(store.engine)

    async with store.reading() as rows:
        assert await rows.evidence.get(make.evidence(1).id) == make.evidence(1)
    await store.close()


async def test_an_outbox_of_the_first_schema_is_brought_along_with_its_rows(
    empty_url: str,
) -> None:
    engine = make_engine(empty_url)
    async with engine.begin() as connection:
        await connection.run_sync(to_first)
        for number, state in ((1, "done"), (2, "pending")):
            values = {"number": f"{number:012d}/000000/000000/erp", "state": state, "at": make.NOW}
            await connection.execute(
                text(FIRST_ROW).bindparams(bindparam("at", type_=Moment)), values
            )

    await upgrade(engine)

    store = SqlStore(engine)
    async with store.transaction() as rows:
        done, pending = await rows.outbox.of_order("a")
        claimed = await rows.outbox.claim("erp", "me", make.NOW, make.later(9), 9)
        pruned = await rows.outbox.prune(make.later(1), 9)
    await store.close()
    assert (done.settled_at, pending.settled_at) == (make.NOW, None)
    assert [item.dedup for item in claimed] == [pending.dedup]
    assert pruned == 1


async def test_results_of_the_first_schema_are_brought_along(empty_url: str) -> None:
    engine = make_engine(empty_url)
    before = [
        Result(make.order(order).id, number, b"{%d}" % number)
        for order in (1, 2)
        for number in range(1, RESULTS + 1)
    ]
    async with engine.begin() as connection:
        await connection.run_sync(to_first)
        await connection.execute(text(RESULT_ROW), [asdict(item) for item in before])

    await upgrade(engine)

    store = SqlStore(engine)
    another = Result(before[0].order, 1, b"{}")
    async with store.transaction() as rows:
        for item in (another, before[0]):
            await rows.orders.add_result(item)
        found = [it for order in (1, 2) for it in await rows.orders.results(make.order(order).id)]
    await store.close()
    assert [item for item in found if item != another] == before
    assert len(found) == len(before) + 1


def test_processes_that_start_at_the_same_time_all_find_the_schema(empty_url: str) -> None:
    starting = [
        subprocess.Popen([sys.executable, "-c", UPGRADE, empty_url], stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    said = [process.communicate(timeout=120)[1] for process in starting]

    assert [process.returncode for process in starting] == [0] * 3, said


async def test_many_in_one_process_take_turns_as_well(empty_url: str) -> None:
    engines = [make_engine(empty_url) for _ in range(4)]

    await asyncio.gather(*(upgrade(engine) for engine in engines))

    for engine in engines:
        await engine.dispose()


async def test_those_who_write_first_into_a_new_sqlite_file_wait_for_each_other(
    tmp_path: Path,
) -> None:
    # Five in a hundred collide where SQLite's own waiting is passed over.
    for attempt in range(100):
        engines = [make_engine(f"sqlite+aiosqlite:///{tmp_path}/{attempt}.db") for _ in range(4)]

        await asyncio.gather(*(first_write(engine) for engine in engines))

        for engine in engines:
            await engine.dispose()


async def first_write(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE IF NOT EXISTS first (x)")


async def test_a_database_of_a_newer_program_is_not_touched(empty_url: str) -> None:
    engine = make_engine(empty_url)
    await upgrade(engine)
    async with engine.begin() as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))

    with pytest.raises(errors.ConfigError, match="newer"):
        await upgrade(engine)
    await engine.dispose()


async def test_a_database_that_is_not_there_is_named() -> None:
    for url in (
        "postgresql+asyncpg://mol@/mol?host=/nowhere",
        "postgresql+asyncpg://mol:x@127.0.0.1:9/mol",
        "sqlite+aiosqlite:////nowhere/at/all.db",
    ):
        store = SqlStore(make_engine(url))
        with pytest.raises(errors.StorageError):
            await upgrade(store.engine)
        with pytest.raises(errors.StorageError):
            async with store.transaction():
                pass
        await store.close()
