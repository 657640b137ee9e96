"""What a restore finds at its place: another chain's end, another program's tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from ledger_service.db.session import begun, make_engine
from ledger_service.domain import errors
from ledger_service.storage import copies
from ledger_service.storage.copies import Reached
from ledger_service.testing import MemoryLedger
from ledger_service.wiring import backup
from ledger_service.wiring.restore import End, look_for
from tests.integration.backup.service import Make, quiet
from tests.peers.mounts import read_only


async def test_tables_of_another_program_in_the_same_database_are_left_alone(
    make_service: Make, tmp_path: Path
) -> None:
    service = make_service("postgres")
    engine = make_engine(service.database)
    async with begun(engine) as connection:
        await connection.execute(text("CREATE TABLE of_another (took interval, name text)"))
        await connection.execute(text("INSERT INTO of_another VALUES ('1 minute', 'x')"))
    await engine.dispose()
    source = make_service("sqlite")
    await source.fill()
    await source.back_up(tmp_path / "safe")

    await service.restore(tmp_path / "safe")
    await service.restore(tmp_path / "safe", replace=True)
    copy = await service.back_up(tmp_path / "safe")

    assert await service.rows() == await source.rows()
    assert "of_another" not in {part.name for part in copy.parts}
    async with begun(engine) as connection:
        assert (await connection.execute(text("SELECT name FROM of_another"))).all() == [("x",)]
    await engine.dispose()


@pytest.fixture
async def ledger() -> MemoryLedger:
    chain = MemoryLedger()
    await chain.mine()
    return chain


async def last_block(ledger: MemoryLedger, hash_: str = "") -> Reached:
    """Return where a copy ends: on the chain's head, or on a block that it no longer has."""
    head = await ledger.head()
    return Reached(number=head.number, hash=hash_ or head.hash.hex())


async def test_the_last_block_of_a_copy_is_seen_or_nobody_knows_it(ledger: MemoryLedger) -> None:
    reached = await last_block(ledger)
    beyond = reached.model_copy(update={"number": reached.number + 1})

    assert await look_for(reached, ledger) is End.SEEN
    assert await look_for(beyond, ledger) is End.UNKNOWN
    assert await look_for(None, ledger) is End.UNKNOWN


async def test_a_copy_that_ends_on_an_abandoned_block_is_refused_only_where_none_is_taken_back(
    ledger: MemoryLedger,
) -> None:
    reached = await last_block(ledger, "ab" * 32)
    ledger.rewritable = True
    assert await look_for(reached, ledger) is End.ABANDONED

    ledger.rewritable = False
    with pytest.raises(errors.WrongChain):
        await look_for(reached, ledger)


@pytest.mark.parametrize("lock", [True, False])
async def test_a_copy_on_a_read_only_disk_is_checked_and_brought_back(
    make_service: Make, tmp_path: Path, *, lock: bool
) -> None:
    old, new, home = make_service("sqlite"), make_service("sqlite"), tmp_path / "safe"
    await old.fill()
    await old.back_up(home)
    if not lock:  # whoever copied the folder left it out
        (home / ".lock").unlink()
    with read_only(home):
        with copies.reading(home) as copy:
            assert await backup.check(copy, quiet) == ()
        await new.restore(home)
        with pytest.raises(errors.StorageError, match="Read-only"):
            await old.back_up(home)

    assert await new.rows() == await old.rows()


async def test_a_copy_is_not_read_while_another_is_made_with_or_without_a_file_to_hold(
    make_service: Make, tmp_path: Path
) -> None:
    service, home = make_service("sqlite"), tmp_path / "safe"
    await service.fill()
    await service.back_up(home)
    (home / ".lock").unlink()

    with copies.reading(home), copies.reading(home), pytest.raises(errors.InUse):
        await service.back_up(home)
    with copies.making(home), pytest.raises(errors.InUse), copies.reading(home):
        pass
