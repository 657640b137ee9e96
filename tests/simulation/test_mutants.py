"""Bugs that are planted on a copy: each is caught, by an invariant that says what it breaks.

A patch names in its first lines what catches it, and the seed to begin with.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PATCHES = sorted((Path(__file__).parent / "mutants").glob("*.patch"))
PACKAGES = ("audit", "contracts", "edge", "integrations", "ledger_service", "validators")
MOST_SEEDS = 60
IGNORED = shutil.ignore_patterns("node_modules", "__pycache__", "out", "cache")


def header(patch: Path, name: str) -> str:
    """Return a line of a patch's header."""
    found = re.search(rf"^{name}: (.*)$", patch.read_text(encoding="utf-8"), re.MULTILINE)
    assert found, f"{patch.name} does not say `{name}`"
    return found.group(1)


def apply(patch: Path, tree: Path, *options: str) -> None:
    """Apply a patch to a copy, or take it back."""
    command = ["patch", "--strip=1", "--fuzz=2", "--batch", "--silent", f"--input={patch}"]
    done = subprocess.run([*command, *options], cwd=tree, check=False, capture_output=True)
    assert done.returncode == 0, (
        f"{patch.name} no longer applies: make it anew from the present code"
    )


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of all that a simulation runs."""
    copy = tmp_path_factory.mktemp("mutants")
    for name in (*PACKAGES, "tests/simulation"):
        shutil.copytree(ROOT / name, copy / name, ignore=IGNORED)
    return copy


def test_there_are_at_least_ten_planted_bugs() -> None:
    assert len(PATCHES) >= 10


@pytest.mark.timeout(600)
@pytest.mark.parametrize("patch", PATCHES, ids=lambda patch: patch.stem)
def test_a_planted_bug_is_caught_by_the_invariant_that_it_breaks(patch: Path, tree: Path) -> None:
    expected = header(patch, "Caught by").split(", ")
    apply(patch, tree)
    try:
        found = simulate(tree, int(header(patch, "First seed")))
    finally:
        apply(patch, tree, "--reverse")

    assert found, f"{patch.stem} lives through {MOST_SEEDS} seeds"
    assert found <= set(expected), f"{patch.stem} is caught by {found}"


def simulate(tree: Path, first: int) -> set[str]:
    """Run seeds on a copy until an invariant breaks; return those that did."""
    options = ["--first", str(first), "--seeds", str(MOST_SEEDS), "--stop-at-first", "--no-known"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.simulation", *options],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": str(tree), "PYTHONHASHSEED": "0"},
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode in {0, 1}, done.stderr[-3000:]
    return set(re.findall(r"^seed \d+, step \d+: ([a-z ]+): ", done.stderr, re.MULTILINE))
