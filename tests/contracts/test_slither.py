from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from tests.contracts.tools import CONTRACTS, need_prover, run, said


def excluded() -> dict[str, str]:
    """Return the detectors that do not run, each with its reason."""
    text = (CONTRACTS / "slither.toml").read_text(encoding="utf-8")
    reasons: dict[str, str] = tomllib.loads(text)["exclude"]
    return reasons


@pytest.mark.timeout(600)
def test_slither_finds_nothing(tmp_path: Path) -> None:
    need_prover("slither")
    report = tmp_path / "report.json"
    options = ("--foundry-out-directory", "out/quick", "--filter-paths", "test/")
    names = ",".join(excluded())
    done = run("slither", ".", "--json", str(report), "--exclude", names, *options, profile="quick")

    assert report.exists(), said(done)
    answer = json.loads(report.read_text(encoding="utf-8"))
    found = [item["description"] for item in answer["results"].get("detectors", [])]
    assert answer["success"], said(done)
    assert found == []


def test_every_detector_left_out_has_its_reason() -> None:
    assert all(reason.strip() for reason in excluded().values())
