from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text

from ledger_service.db import tables, transfer
from ledger_service.db.migrations import bring, upgrade
from ledger_service.db.session import begun, make_engine
from ledger_service.domain import errors
from ledger_service.domain.backup_errors import BackupIncomplete, NotEmpty
from ledger_service.domain.records import Announcement
from ledger_service.storage import copies
from ledger_service.wiring import backup
from ledger_service.wiring.restore import End
from tests.conformance import rows as make
from tests.integration.backup.service import DEPLOYMENT, Make, Service, quiet
from tests.unit.services.site import Site, World

KINDS = ["sqlite", "postgres"]


@pytest.mark.parametrize("source", KINDS)
@pytest.mark.parametrize("target", KINDS)
async def test_every_row_and_every_object_comes_back_into_a_database_of_either_kind(
    make_service: Make, tmp_path: Path, source: str, target: str
) -> None:
    old, new = make_service(source), make_service(target)
    await old.fill()
    await old.back_up(tmp_path / "safe")

    restored = await new.restore(tmp_path / "safe")

    rows = await old.rows()
    assert await new.rows() == rows
    assert [name for name, found in rows.items() if not found] == ["circuit"]
    assert new.stored() == old.stored()
    assert (restored.end, [item.id for item in restored.tokens]) == (End.UNKNOWN, ["token-1"])


@pytest.mark.parametrize("kind", KINDS)
async def test_a_restored_service_goes_on_with_numbers_of_its_own(
    make_service: Make, tmp_path: Path, kind: str
) -> None:
    old, new = make_service(kind), make_service(kind)
    await old.fill()
    await old.back_up(tmp_path / "safe")
    await new.restore(tmp_path / "safe")
    store = new.store()
    async with store.reading() as rows:
        told = await rows.orders.announcements(0, 100)

    async with store.transaction() as rows:
        await rows.evidence.add(make.evidence(99))
        await rows.orders.add(make.order(99))
        following = await rows.orders.announce("order", make.order(99).id, {})

    *before, mark = told
    assert [item.sequence for item in before] == list(range(1, len(before) + 1))
    assert (mark.kind, mark.sequence > 2**50, following) == ("restored", True, mark.sequence + 1)
    assert following < 2**53
    await store.close()


async def test_whoever_reads_the_feed_of_a_service_that_was_restored_twice_never_meets_a_number_again(
    make_service: Make, tmp_path: Path
) -> None:
    old, first, second = (make_service("sqlite") for _ in range(3))
    await old.fill()
    await old.back_up(tmp_path / "safe")
    await first.restore(tmp_path / "safe")
    await first.back_up(tmp_path / "safe")
    await asyncio.sleep(1.1)  # restores are told apart by the second
    await second.restore(tmp_path / "safe")

    earlier, later = await mark_of(first), await mark_of(second)
    assert earlier.sequence < later.sequence


async def mark_of(service: Service) -> Announcement:
    """Return the one line of the feed that tells of a restore."""
    store = service.store()
    async with store.reading() as rows:
        (mark,) = [it for it in await rows.orders.announcements(0, 99) if it.kind == "restored"]
    await store.close()
    return mark


async def test_whoever_was_away_over_two_restores_hears_of_the_older_copy(
    make_service: Make, tmp_path: Path
) -> None:
    old, first, second = (make_service("sqlite") for _ in range(3))
    await old.fill()
    oldest = await old.back_up(tmp_path / "safe")
    await first.restore(tmp_path / "safe")
    newest = await first.back_up(tmp_path / "safe")
    assert newest.name == copies.listed(tmp_path / "safe")[-1]

    await second.restore(tmp_path / "safe")

    told = (await mark_of(second)).body["copyOf"]
    assert datetime.fromisoformat(told) == oldest.manifest.made_at < newest.manifest.made_at


async def test_the_time_of_a_copy_is_of_before_its_rows_were_read(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("sqlite")
    await service.fill()
    begun: list[datetime] = []

    copy, _ = await backup.make(
        service.settings, tmp_path / "safe", lambda *_: begun.append(datetime.now(UTC))
    )

    assert copy.manifest.made_at <= begun[0]


async def test_a_copy_made_while_the_service_writes_is_of_one_moment_with_all_its_objects(
    make_service: Make, tmp_path: Path
) -> None:
    for kind in KINDS:
        old, new = make_service(kind), make_service("sqlite")
        store = old.store()
        await upgrade(store.engine)
        site = Site(World(store=store, objects=old.objects))

        started = asyncio.Event()

        async def work(site: Site = site, started: asyncio.Event = started) -> None:
            while True:
                await site.validate(site.world.gateway.pack())
                started.set()

        working = asyncio.create_task(work())
        await started.wait()
        home = tmp_path / f"safe-{kind}"
        for _ in range(3):
            copy = await old.back_up(home)
        assert not working.done()
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
        await store.close()

        assert copy.manifest.missing == ()
        await backup.check(copy, quiet)
        await new.restore(home)
        rows = await new.rows()
        (cursor,) = rows["cursor"]
        assert cursor[1] == max(block[0] for block in rows["block"])
        assert copy.manifest.cursor is not None
        assert copy.manifest.cursor.number == cursor[1]
        assert rows["evidence"]


async def test_objects_of_an_earlier_copy_are_not_copied_again(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("sqlite")
    await service.fill()
    home = tmp_path / "safe"
    first, copied = await backup.make(service.settings, home, quiet)
    assert copied.new == len(copied.sizes) == len(service.stored())

    second, again = await backup.make(service.settings, home, quiet)

    assert (again.new, len(again.sizes)) == (0, len(copied.sizes))
    assert copies.listed(home) == sorted({first.name, second.name})


async def test_an_object_that_is_lost_or_rotten_stops_a_copy_unless_told_and_is_then_named(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("sqlite")
    await service.fill()
    lost, rotten, *_ = sorted(service.stored())
    (service.folder / "objects" / lost).unlink()
    path = service.folder / "objects" / rotten
    path.write_bytes(bytes(len(path.read_bytes())))

    with pytest.raises(BackupIncomplete):
        await service.back_up(tmp_path / "safe")
    assert copies.listed(tmp_path / "safe") == []

    copy = await service.back_up(tmp_path / "safe", allow_missing=True)
    assert sorted(copy.manifest.missing) == [lost, rotten]
    await backup.check(copy, quiet)
    other = make_service("sqlite")
    await other.restore(tmp_path / "safe")
    assert sorted(other.stored()) == sorted(set(service.stored()) - {lost, rotten})


@pytest.mark.parametrize("kind", KINDS)
async def test_nothing_that_is_there_is_overwritten_unless_told(
    make_service: Make, tmp_path: Path, kind: str
) -> None:
    old, busy = make_service("sqlite"), make_service(kind)
    await old.fill()
    await old.back_up(tmp_path / "safe")
    await busy.fill(5)
    before, stored = await busy.rows(), busy.stored()

    with pytest.raises(NotEmpty):
        await busy.restore(tmp_path / "safe")
    assert (await busy.rows(), busy.stored()) == (before, stored)

    await busy.restore(tmp_path / "safe", replace=True)
    assert await busy.rows() == await old.rows()
    if kind == "sqlite":
        (aside,) = busy.folder.glob("mol.db.before-*")
        engine = make_engine(f"sqlite+aiosqlite:///{aside}")
        async with engine.connect() as connection:
            found = (await connection.execute(select(tables.evidence.c.id))).all()
        await engine.dispose()
        assert len(found) == 5


async def test_objects_of_somebody_else_are_not_mixed_with_unless_told(
    make_service: Make, tmp_path: Path
) -> None:
    old, new, other = (make_service("sqlite") for _ in range(3))
    await old.fill()
    await other.fill(6)
    await old.back_up(tmp_path / "safe")
    (new.folder / "objects").symlink_to(other.folder / "objects")

    with pytest.raises(NotEmpty):
        await new.restore(tmp_path / "safe")

    assert not list(new.folder.glob("mol.db*"))


@pytest.mark.parametrize("kind", KINDS)
async def test_a_database_that_a_service_works_with_is_not_taken_from_under_it(
    make_service: Make, tmp_path: Path, kind: str
) -> None:
    service = make_service(kind)
    await service.fill()
    await service.back_up(tmp_path / "safe")
    store = service.store()
    async with store.reading() as rows:
        await rows.chain.cursor()

        with pytest.raises(errors.InUse):
            await service.restore(tmp_path / "safe", replace=True)
    await store.close()

    await service.restore(tmp_path / "safe", replace=True)


@pytest.mark.parametrize("field", ["chainId", "genesis", "consortium", "orders"])
async def test_a_copy_of_another_chain_or_contract_is_refused(
    make_service: Make, tmp_path: Path, field: str
) -> None:
    old, new = make_service("sqlite"), make_service("sqlite")
    await old.fill()
    await old.back_up(tmp_path / "safe")
    other = {"chainId": 7, "genesis": "00" * 32}.get(field, "0x" + "11" * 20)
    new.write("deployment.json", json.dumps({**DEPLOYMENT, field: other}))

    with pytest.raises(errors.WrongChain, match=field):
        await new.restore(tmp_path / "safe")

    assert await new.is_untouched()


async def first_schema(service: Service) -> None:
    """Make the tables of the first release, with a token in them."""
    engine = make_engine(service.database)
    async with begun(engine) as connection:
        await connection.run_sync(bring, "0001")
        values = {"id": "old", "digest": bytes(32), "role": "operator", "subject": "x"}
        await connection.execute(insert(tables.token).values(**values, created_at=make.NOW))
    await engine.dispose()


@pytest.mark.parametrize("target", KINDS)
async def test_a_copy_of_an_older_schema_is_made_as_it_is_and_brought_to_the_present(
    make_service: Make, tmp_path: Path, target: str
) -> None:
    old, new = make_service("sqlite"), make_service(target)
    await first_schema(old)

    copy = await old.back_up(tmp_path / "safe")
    await new.restore(tmp_path / "safe")

    assert copy.manifest.schema_ == "0001"
    (token,) = (await new.rows())["token"]
    assert (token[0], token[4]) == ("old", make.NOW)
    engine = make_engine(new.database)
    await upgrade(engine)
    async with begun(engine) as connection:
        revision, _ = await transfer.schema_of(connection)
    await engine.dispose()
    assert revision != "0001"


async def test_a_database_of_a_newer_program_is_not_copied(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("sqlite")
    await service.fill()
    engine = make_engine(service.database)
    async with begun(engine) as connection:
        await connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    await engine.dispose()

    with pytest.raises(errors.ConfigError, match="newer"):
        await service.back_up(tmp_path / "safe")


async def test_tokens_of_a_copy_are_ended_if_told(make_service: Make, tmp_path: Path) -> None:
    old, new = make_service("sqlite"), make_service("sqlite")
    await old.fill()
    await old.back_up(tmp_path / "safe")

    restored = await new.restore(tmp_path / "safe", revoke_tokens=True)

    assert restored.tokens == []
    assert all(row[6] is not None for row in (await new.rows())["token"])


async def test_two_do_not_make_copies_in_one_folder_at_once(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("sqlite")
    await service.fill()
    await service.back_up(tmp_path / "safe")

    with copies.making(tmp_path / "safe"), pytest.raises(errors.InUse):
        await service.back_up(tmp_path / "safe")
    with copies.reading(tmp_path / "safe"), pytest.raises(errors.InUse):
        await service.back_up(tmp_path / "safe")
