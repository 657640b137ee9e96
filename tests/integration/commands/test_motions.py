"""Members and builders come in by motion, and nobody signs what was not shown and confirmed."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.commands.conftest import Desk

VERDICT, RECOVERY, BUILDER = 1, 3, 4


def passes(desk: Desk, kind: str, proofs: str, voters: tuple[int, ...]) -> None:
    """Let the first of these organisations propose, and the others approve."""
    proposer, *others = voters
    motion = f"motion propose {kind} --proofs {proofs} --file m.json"
    assert desk.mol(f"{motion} --keystore gov-{proposer}.json") == 0
    for number in others:
        assert desk.mol(f"motion approve m.json --yes --keystore gov-{number}.json") == 0


def prove(desk: Desk, number: int, file: str, **keys: str) -> None:
    given = " ".join(f"--{role} {keystore}" for role, keystore in keys.items())
    assert desk.mol(f"key new {' '.join(keys.values())}") == 0
    assert desk.mol(f"key prove --organisation {number} --file {file} {given}") == 0


def test_an_organisation_and_a_builder_come_in_by_motions(
    own_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    prove(own_desk, 4, "new.json", verdict="v4.json", governance="gov-4.json", recovery="r4.json")
    passes(own_desk, "AddOrganisation", "new.json", (1, 2, 3))
    assert own_desk.role_of("v4.json") == (VERDICT, 4)

    prove(own_desk, 4, "builder.json", builder="b.json")
    passes(own_desk, "AddBuilder", "builder.json", (4, 1, 2, 3))
    assert own_desk.role_of("b.json") == (BUILDER, 4)
    assert "executed" in capsys.readouterr().out

    again = "motion propose AddBuilder --proofs builder.json --file m.json --keystore gov-1.json"
    assert own_desk.mol(again) == 2
    assert "has, or had, a role already" in capsys.readouterr().err


def test_all_others_recover_an_organisation_that_lost_every_key(
    own_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    prove(own_desk, 2, "lost.json", verdict="v.json", governance="g.json", recovery="r.json")

    passes(own_desk, "Recover", "lost.json", (1, 3))

    assert own_desk.view("recovery", 2)
    assert own_desk.mol("key finish-recovery 2 --keystore gov-1.json") == 1
    assert "NotYet" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "number", "why"),
    [
        ("AddOrganisation", 7, "Another number is next"),
        ("Recover", 4, "No such member"),
        ("AddBuilder", 9, "lacks a key"),
        ("Expell", 1, "No such kind of motion"),
    ],
)
def test_what_cannot_pass_is_not_put_to_the_vote(
    desk: Desk, kind: str, number: int, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    prove(desk, number, "p.json", verdict="v.json", governance="g.json", recovery="r.json")
    line = f"motion propose {kind} --file m.json --keystore gov-1.json"

    assert desk.mol(f"{line} --proofs p.json") == 2
    assert why in capsys.readouterr().err
    assert desk.mol(line) == 2
    assert desk.mol("motion list --json") == 0
    assert not (desk.folder / "m.json").exists()


@pytest.mark.parametrize(
    "terms", ["AddDetector --detector zz", "AddDevice --asset robot --device aa", "RemoveBuilder"]
)
def test_a_term_that_is_none_is_wrong_use(desk: Desk, terms: str) -> None:
    assert desk.mol(f"motion propose {terms} --file m.json --keystore gov-1.json") == 2


def approve(folder: Path, answer: bytes | None) -> subprocess.CompletedProcess[bytes]:
    """Approve at a terminal, or (None) where nobody can be asked."""
    command = [sys.executable, "-m", "ledger_service", "motion", "approve", "m.json"]
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer or b"")
        return subprocess.run(
            [*command, "--keystore", "gov-2.json"],
            cwd=folder,
            stdin=subprocess.DEVNULL if answer is None else theirs,
            capture_output=True,
            check=False,
            timeout=60,
        )
    finally:
        os.close(ours)
        os.close(theirs)


def test_a_motion_is_shown_and_asked_for_before_the_cold_key_signs(desk: Desk) -> None:
    line = f"motion propose AddDetector --detector {'ab' * 32} --file m.json"
    assert desk.mol(f"{line} --keystore gov-1.json") == 0

    unasked, declined = approve(desk.folder, None), approve(desk.folder, b"n\n")
    assert (unasked.returncode, b"give --yes" in unasked.stderr) == (2, True)
    assert (declined.returncode, b"Nothing was signed" in declined.stderr) == (1, True)
    assert b"ab" * 32 in declined.stdout
    assert b"Vote for it? [y/N]" in declined.stdout
    approved = approve(desk.folder, b"y\n")

    assert (approved.returncode, approved.stdout.strip()[-4:]) == (0, b"open")


def test_whoever_votes_on_a_machine_reads_its_name_and_no_false_one(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    line = "motion propose RegisterVersion --asset 1/robot-7 --seats 1 2 3 --host 1 --file m.json"
    assert desk.mol(f"{line} --keystore gov-1.json") == 0
    file = desk.folder / "m.json"
    fields = json.loads(file.read_text("utf-8"))

    file.write_text(json.dumps({**fields, "asset": "1/robot-8"}), encoding="utf-8")
    assert desk.mol("motion approve m.json --yes --keystore gov-2.json") == 2
    assert "not that of the machine voted on" in capsys.readouterr().err

    file.write_text(json.dumps(fields), encoding="utf-8")
    assert desk.mol("motion approve m.json --yes --keystore gov-2.json") == 0
    said = capsys.readouterr().out.splitlines()
    assert f"  asset: 1/robot-7, id {fields['data'][64:128]}" in said
    assert "  seats: 1, 2, 3" in said
    assert max(map(len, said)) < 100
