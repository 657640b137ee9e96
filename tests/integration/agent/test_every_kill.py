"""A kill at every single step of a life, on the ledger in memory: too many lives for the unit ring."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.validators.conftest import put_model
from tests.unit.validators.lives import HOME, LIVES, sweep
from tests.unit.validators.world import DETECTOR
from validators.rerun.models import Models


@pytest.fixture
def models(tmp_path: Path) -> Iterator[Models]:
    put_model(tmp_path / "models" / "robot", DETECTOR)
    found = Models(tmp_path / "models")
    yield found
    found.close()


@pytest.mark.parametrize("next_home", [HOME, "a journal that is lost"])
@pytest.mark.parametrize("life", LIVES)
async def test_a_kill_at_any_step_leaves_one_verdict_after_a_restart(
    tmp_path: Path, models: Models, life: str, next_home: str
) -> None:
    steps = await sweep(tmp_path, models, life, next_home=next_home, stride=1)

    assert 20 < steps < 200
