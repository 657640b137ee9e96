"""`mol demo --input`: recordings that somebody brings, as they are."""

from __future__ import annotations

import json
import mimetypes
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge import simulate
from ledger_service.domain import dataset
from tests.acceptance.demos import Ended, check_validated, mol_demo


def root_of(*files: Path) -> str:
    """Return the dataset root over files, each under its own name."""
    entries = []
    for file in files:
        hasher = dataset.FileHasher()
        hasher.update(file.read_bytes())
        media = mimetypes.guess_type(file.name)[0] or "application/octet-stream"
        entries.append(
            dataset.Entry(file.name, hasher.size, media, dataset.DEFAULT_CHUNK, hasher.root())
        )
    return dataset.dataset_root(entries).hex()


def run(source: Path, out: Path, *options: str) -> Ended:
    done = mol_demo("--input", str(source), "--out", str(out), "--json", *options)
    assert done.returncode == 0, done.stderr[-3000:]
    return Ended(out, json.loads(done.stdout))


def write(folder: Path, seed: int, fault: str | None) -> Path:
    """Write a table of a simulated robot."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "log.csv"
    samples = simulate.record(seed=seed, minutes=300, fault=fault, onset=150)
    file.write_bytes(simulate.csv_bytes(samples, datetime(2026, 1, 1, tzinfo=UTC)))
    return file


def test_each_sub_folder_that_alarms_is_ordered_for_with_its_own_bytes(tmp_path: Path) -> None:
    source = tmp_path / "recordings"
    broken = write(source / "mill-3", 1, "dull-tool")
    (source / "mill-3" / "notes.md").write_text("It sounded dull.\n", encoding="utf-8")
    write(source / "mill-4-healthy", 2, None)
    (source / "README.txt").write_text("not a table\n", encoding="utf-8")

    ended = run(source, tmp_path / "out")

    (order,) = ended.orders("Validated")
    check_validated(ended, order)
    assert order["asset"] == "1/mill-3"
    assert order["datasetRoot"] == root_of(broken, source / "mill-3" / "notes.md")
    assert ended.report["quiet"] == ["mill-4-healthy"]
    assert [name.split(":")[0] for name in ended.report["leftOut"]] == ["README"]


def test_a_folder_without_recordings_is_refused_with_the_reasons(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "README.txt").write_text("nothing here\n", encoding="utf-8")

    done = mol_demo("--input", str(tmp_path / "in"), "--out", str(tmp_path / "out"))

    assert done.returncode == 1
    assert "README" in done.stderr


def test_a_wrong_folder_leaves_the_last_demo_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".mol-demo").touch()
    (out / "report.json").write_text("{}", encoding="utf-8")

    done = mol_demo("--input", str(tmp_path / "nowhere"), "--out", str(out))

    assert done.returncode == 1
    assert "nowhere" in done.stderr
    assert (out / "report.json").read_text("utf-8") == "{}"


@pytest.mark.parametrize(
    ("folder", "least"), [("skab/valve1", 12), ("skab", 1), ("motor_bench", 5)]
)
def test_real_recordings_become_orders(tmp_path: Path, folder: str, least: int) -> None:
    data = os.environ.get("MOL_TEST_DATA")
    if not data or not (Path(data) / folder).is_dir():
        pytest.skip(f"MOL_TEST_DATA names no folder with {folder}")

    ended = run(Path(data) / folder, tmp_path / "out")

    validated = ended.orders("Validated")
    assert len(validated) == len(ended.report["orders"]) >= least
    for order in validated:
        check_validated(ended, order)
