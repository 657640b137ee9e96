from __future__ import annotations

import json
from pathlib import Path

import pytest

from edge import simulate
from edge.detectors import load
from edge.detectors.quality import recording
from tests.integration.edge.plant import mol


def test_quality_reports_false_alarms_and_each_kind_of_fault() -> None:
    done = mol("detector", "quality", "--runs", "50", "--json")
    nominal, *faults = json.loads(done.stdout)

    assert done.returncode == 0
    assert nominal["rate"] == 0
    assert [row["kind"] for row in faults] == list(simulate.FAULTS)
    assert all(row["rate"] == 1 for row in faults)
    assert all(row["named"] >= 40 for row in faults)


def test_a_detector_is_trained_and_scores_files(tmp_path: Path) -> None:
    made = mol("detector", "train", tmp_path / "robot")
    assert made.returncode == 0, made.stderr
    assert load(tmp_path / "robot").id.hex() in made.stdout
    for fault, code in ((None, 0), ("cooling-loss", 1)):
        (tmp_path / "samples.csv").write_bytes(recording(4, fault))
        done = mol(
            "detector",
            "score",
            tmp_path / "samples.csv",
            "--detector",
            tmp_path / "robot",
            "--json",
        )
        found = json.loads(done.stdout)
        assert (done.returncode, found["alarms"], found["failureMode"]) == (
            code,
            bool(code),
            fault,
        )


@pytest.mark.parametrize("data", [b"", b"\x00" * 100, b"speed\nnan\n"])
def test_a_file_that_cannot_be_scored_is_refused_by_name(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "samples.csv").write_bytes(data)
    done = mol("detector", "score", tmp_path / "samples.csv")

    assert done.returncode == 2
    assert "cannot be scored" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    done = mol("detector", "score", tmp_path / "none.csv")

    assert done.returncode == 2
    assert "none.csv" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_detector_that_is_not_there_does_not_pass_for_an_alarm(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_bytes(recording(4, "cooling-loss"))
    done = mol("detector", "score", tmp_path / "samples.csv", "--detector", tmp_path / "none")

    assert (done.returncode, done.stdout) == (2, "")
    assert "none" in done.stderr


def test_a_person_reads_a_score_and_no_scaled_integer(tmp_path: Path) -> None:
    (tmp_path / "samples.csv").write_bytes(recording(4, "cooling-loss"))
    samples = tmp_path / "samples.csv"
    shown = dict(
        line.split(maxsplit=1) for line in mol("detector", "score", samples).stdout.splitlines()
    )
    found = json.loads(mol("detector", "score", samples, "--json").stdout)

    assert shown["score"] == f"{found['quantised'] / 100_000:.5f}"
    assert shown["threshold"] == f"{found['threshold'] / 100_000:.5f}"
    assert (shown["alarms"], "quantised" in shown) == ("yes", False)


def test_a_card_is_shown_as_names_and_values() -> None:
    shown = mol("detector", "show").stdout

    assert "failureModes     bearing-wear, cooling-loss, dull-tool, spindle-drag\n" in shown
    assert "input\n  mediaType      text/csv\n" in shown
    assert "[" not in shown
    assert "{" not in shown
