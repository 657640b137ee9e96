"""What a restore finds at its place: another chain's end, another program's tables."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import text

from ledger_service.db.migrations import upgrade
from ledger_service.db.session import begun, make_engine
from ledger_service.domain import errors
from ledger_service.domain.facts import Block
from ledger_service.wiring import restore
from ledger_service.wiring.restore import End
from tests.conformance import rows as make
from tests.integration.backup.service import Make


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


@dataclass
class Nodes:
    """What a chain says of every number: always the block of one branch."""

    fork: int
    rewritable: bool
    closed: bool = False

    async def block(self, number: int) -> Block:
        return make.block(number, self.fork)

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("rewritable", [True, False])
@pytest.mark.parametrize(("fork", "end"), [(0, End.SEEN), (1, End.ABANDONED)])
async def test_a_copy_that_ends_on_an_abandoned_block_comes_back_where_blocks_are_taken_back(
    make_service: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fork: int,
    end: End,
    *,
    rewritable: bool,
) -> None:
    old, new = make_service("sqlite"), make_service("sqlite")
    store = old.store()
    await upgrade(store.engine)
    async with store.transaction() as rows:
        await rows.chain.advance(make.block(7), None)
    await store.close()
    await old.back_up(tmp_path / "safe")
    nodes = Nodes(fork, rewritable)
    monkeypatch.setattr(restore, "open_ledger", lambda _: nodes)

    if end is End.ABANDONED and not rewritable:
        with pytest.raises(errors.WrongChain):
            await new.restore(tmp_path / "safe")
        assert await new.is_untouched()
    else:
        assert (await new.restore(tmp_path / "safe")).end is end
    assert nodes.closed
