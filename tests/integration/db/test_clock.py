"""The doctor sees a machine whose clock is not the database's: leases are measured by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from ledger_service.commands.doctor import look_at_clock
from ledger_service.db.session import SqlStore, make_engine


@pytest.mark.parametrize("ahead", [-20, 0, 20])
async def test_a_clock_that_is_apart_from_the_databases_is_told(empty_url: str, ahead: int) -> None:
    store = SqlStore(make_engine(empty_url))

    found = await look_at_clock(store, lambda: datetime.now(UTC) + timedelta(seconds=ahead))

    await store.close()
    if empty_url.startswith("sqlite"):
        assert found is None  # it has no clock of its own
        return
    assert found is not None
    assert found.ok is (ahead == 0)
    assert ("one time service" in found.todo) is (ahead != 0)
