"""A kill in the middle of a backup or of a restore leaves nothing that is taken for whole."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ledger_service.storage import copies
from ledger_service.wiring import backup
from tests.integration.backup.service import Make, quiet

KILLS = 4
#: The command without its start, which takes longer than all the rest: killed where it works.
RUN = """
import sys
from ledger_service.cli import run
from ledger_service.commands import backup, restore
print("begins", flush=True)
code = run(sys.argv[1:])
print("ended", flush=True)
sys.exit(code)
"""


@pytest.fixture
def chance() -> random.Random:
    seed = random.SystemRandom().randrange(2**32)
    print("seed", seed)  # noqa: T201  the way back to a failure
    return random.Random(seed)  # noqa: S311  moments of a test


def mol(*words: object, after: float | None = None) -> bool:
    """Run a command, or kill it some seconds after it began; say whether it came to its end."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    while process.stdout.readline().strip() != "begins":
        assert process.poll() is None
    if after is not None:
        time.sleep(after)
        process.kill()
    said, complained = process.communicate(timeout=120)
    assert after is not None or process.returncode == 0, complained
    return said.strip().endswith("ended")


def measured(*words: object) -> float:
    began = time.monotonic()
    assert mol(*words)
    return time.monotonic() - began


async def test_a_backup_that_is_killed_leaves_the_copies_of_before_and_nothing_half(
    make_service: Make, tmp_path: Path, chance: random.Random
) -> None:
    service, home = make_service("sqlite"), tmp_path / "safe"
    await service.fill(12)
    words = ("backup", home, "--config", service.folder / "mol.toml", "--json")
    seconds = measured(*words)
    ended = 1
    for _ in range(KILLS):
        ended += mol(*words, after=chance.uniform(0, seconds))
        names = copies.listed(home)
        assert ended <= len(names) <= ended + 1  # whole, and killed before it could say so
        ended = len(names)
        with copies.reading(home) as copy:
            await backup.check(copy, quiet)
    assert mol(*words)
    assert not list(home.glob(".making-*")), "what was left is swept"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_a_restore_that_is_killed_leaves_no_database_and_begins_again(
    make_service: Make, tmp_path: Path, chance: random.Random, kind: str
) -> None:
    old, home = make_service("sqlite"), tmp_path / "safe"
    await old.fill(12)
    await old.back_up(home)
    first = make_service(kind)
    seconds = measured("restore", home, "--config", first.folder / "mol.toml")
    rows = await old.rows()
    assert await first.rows() == rows
    for _ in range(KILLS // 2):
        new = make_service(kind)
        words = ("restore", home, "--config", new.folder / "mol.toml", "--json")
        mol(*words, after=chance.uniform(0, seconds))
        if await new.has_database():
            assert await new.rows() == rows
        else:
            assert mol(*words), "it takes up what is there without being told"
        assert await new.rows() == rows
        assert new.stored() == old.stored()
        assert not list(new.folder.glob("*.restoring-*"))
