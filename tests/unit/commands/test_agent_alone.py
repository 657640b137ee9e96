from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.cli import run


@pytest.mark.parametrize("words", [["agent"], ["agent", "run"]])
def test_the_agents_name_alone_runs_the_agent(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missing = tmp_path / "agent.toml"

    assert run([*words, "--config", str(missing)]) == 2
    assert f"cannot be read. (found {missing})" in capsys.readouterr().err
