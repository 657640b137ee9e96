"""Folders of real recordings become evidence as they are: `MOL_TEST_DATA` says where they lie."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from edge import recordings
from edge.detectors.commission import commission
from edge.evidence import bundle
from tests.integration.edge.plant import mol


@pytest.fixture(params=["motor_bench", "skab"])
def source(request: pytest.FixtureRequest) -> Path:
    name: str = request.param
    folder = Path(os.environ.get("MOL_TEST_DATA", "")) / name
    if "MOL_TEST_DATA" not in os.environ or not folder.is_dir():
        pytest.skip(f"no real recordings: MOL_TEST_DATA names no folder with {name}")
    return folder


def test_a_real_recording_is_packed_with_its_own_detector(source: Path, tmp_path: Path) -> None:
    found = recordings.find(source, tmp_path / "scratch")
    judged = commission(found.recordings)[0]
    judged.detector.save(tmp_path / "detector")
    made = mol("evidence", "key", tmp_path / "device.pem")
    assert made.returncode == 0
    folder = judged.recording.folder
    table = judged.recording.table.relative_to(folder)
    options = ("--asset", "1/bench", "--key", tmp_path / "device.pem", "--input", table)
    target = tmp_path / "e.evidence"
    done = mol(
        *("evidence", "pack", folder, *options, "--detector", tmp_path / "detector"),
        *("-o", target, "--json"),
    )

    assert done.returncode == 0, done.stderr
    claim = json.loads(done.stdout)
    assert claim["detector"] == judged.detector.id.hex()
    with bundle.read(target) as opened:
        files = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
        assert {folder / e.path: e.size for e in opened.claim.entries} == files
        data = b"".join(opened.chunks(table.as_posix()))
        assert judged.detector.run(data).quantised == opened.claim.score.value
