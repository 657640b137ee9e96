from __future__ import annotations

import pytest

from ledger_service.cli import run

LATER = [
    "audit package aa -o out.json",
    "audit verify out.json --dataset data --trust=trust.json",
    "audit window out.json --from 1 -n -5",
    "audit lookup data",
    "reconcile erp --json",
    "export --help-me",
    "edge run --config edge.toml",
    "detector promote 5f0c --json",
    "detector register --file motion.json",
]


@pytest.mark.parametrize("line", LATER)
def test_what_comes_later_says_so_however_it_is_spelled(
    line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(line.split()) == 2

    said = capsys.readouterr()
    assert "a later capability, not there yet" in said.err
    assert "Unknown" not in said.out + said.err
