from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.simulation.coverage import OUTSIDE, VERBS, waits
from tests.simulation.faults import KINDS
from tests.simulation.invariants import INVARIANTS

ROOT = Path(__file__).parents[2]
MINUTES = 2
LEAST_SEEDS = 6  #: on any machine, however slow: those that failed once, and one on SQLite
MOST_SEEDS = 100
LEAST_STEPS = 100_000
LEAST_KINDS = 20


def simulate(*options: str) -> subprocess.CompletedProcess[str]:
    """Run the command: hashes are the same in every process of it, and not in this one."""
    command = [sys.executable, "-m", "tests.simulation", *options]
    return subprocess.run(command, cwd=ROOT, check=False, capture_output=True, text=True)


def counts(tmp_path: Path, name: str, *options: str) -> dict[str, Any]:
    done = simulate(*options, "--json", str(tmp_path / name))
    assert done.returncode == 0, f"{options}: {done.stderr[-6000:]}"  # each bad seed is in it
    found: dict[str, Any] = json.loads((tmp_path / name).read_text(encoding="utf-8"))
    return found


@pytest.mark.timeout(1200)
def test_as_many_seeds_as_fit_in_two_minutes_break_no_invariant(tmp_path: Path) -> None:
    # The same seeds each time, so that a commit is judged alike everywhere; `make simulate` has others.
    length = ("--seeds", str(MOST_SEEDS), "--minutes", str(MINUTES), "--least", str(LEAST_SEEDS))
    found = counts(tmp_path, "many", *length, "--processes", "2")

    assert found["seeds"] >= LEAST_SEEDS
    assert found["seedsOnSqlite"] >= 1
    assert found["steps"] > LEAST_STEPS
    assert sum(times > 0 for times in found["faults"].values()) > LEAST_KINDS
    assert found["faults"]["crash at a place"] > 0


@pytest.mark.timeout(600)
def test_a_seed_gives_the_same_run_again_in_another_process(tmp_path: Path) -> None:
    first = counts(tmp_path, "first", "--seed", "5")
    second = counts(tmp_path, "second", "--seed", "5")

    same = ("digests", "steps", "faults", "diedAt", "virtualSeconds")
    assert {name: first[name] for name in same} == {name: second[name] for name in same}
    assert first["steps"] > 10_000


def test_other_seeds_give_other_runs(tmp_path: Path) -> None:
    found = counts(tmp_path, "two", "--first", "8", "--seeds", "2")

    assert len(set(found["digests"].values())) == len(found["digests"]) >= 2


def test_every_verb_is_watched_where_it_waits() -> None:
    assert {place.split(":")[0] for place in waits()} == set(VERBS)
    assert len(waits()) > 300


def test_only_what_speaks_to_sockets_is_left_out() -> None:
    for module, imported in OUTSIDE.items():
        assert imported in (ROOT / module).read_text(encoding="utf-8")
    for module in VERBS:
        text = (ROOT / module).read_text(encoding="utf-8")
        assert not any(imported in text for imported in OUTSIDE.values()), module


def test_the_page_names_every_fault_and_every_invariant() -> None:
    page = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")

    assert {kind for kind in KINDS if kind not in page} == set()
    assert {text for text in INVARIANTS.values() if text not in page} == set()
