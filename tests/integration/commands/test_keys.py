"""Keys are replaced, recovered and ended by commands, on a chain that runs."""

from __future__ import annotations

import pytest

from ledger_service.chain.keys import possession_digest
from tests.integration.commands.conftest import Desk

VERDICT, GOVERNANCE, RECOVERY, RETIRED = 1, 2, 3, 5


def test_a_rotation_takes_over_at_once_and_retires_the_old_keys(
    own_desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    own_desk.keep("old-verdict", own_desk.founded.verdict(2))
    own_desk.mol("key new v2.json g2.json r2.json")
    prove = "key prove --organisation 2 --file p.json --verdict v2.json --governance g2.json"

    assert own_desk.mol(f"{prove} --recovery r2.json") == 0
    assert own_desk.mol("key rotate p.json --keystore gov-2.json") == 0

    assert "KeyReplaced: number 2, role Verdict, old 0x" in capsys.readouterr().out
    assert own_desk.role_of("v2.json") == (VERDICT, 2)
    assert own_desk.role_of("g2.json") == (GOVERNANCE, 2)
    assert own_desk.role_of("r2.json") == (RECOVERY, 2)
    assert {own_desk.role_of(f"{old}.json") for old in ("old-verdict", "gov-2", "rec-2")} == {
        (RETIRED, 2)
    }


def test_a_recovery_is_announced_by_one_key_and_stopped_by_the_other(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.mol("key new v3.json g3.json")
    desk.mol("key prove --organisation 3 --file p.json --verdict v3.json --governance g3.json")

    assert desk.mol("key recover p.json --keystore gov-3.json") == 1
    assert "WrongRole" in capsys.readouterr().err
    assert desk.mol("key recover p.json --keystore rec-3.json") == 0
    assert "RecoveryStarted: number 3" in capsys.readouterr().out
    assert desk.mol("key finish-recovery 3 --keystore gov-1.json") == 1
    assert "NotYet" in capsys.readouterr().err
    assert desk.mol("key cancel-recovery --keystore gov-3.json") == 0
    assert "RecoveryCancelled: number 3" in capsys.readouterr().out
    assert desk.role_of("g3.json") == (0, 0)


def test_leaving_is_announced_and_taken_back(
    desk: Desk, capsys: pytest.CaptureFixture[str]
) -> None:
    assert desk.mol("key leave --keystore gov-1.json") == 0
    assert desk.view("leavesAt", 1)
    assert desk.mol("key finish-leave 1 --keystore gov-2.json") == 1
    assert "NotYet" in capsys.readouterr().err
    assert desk.mol("key cancel-leave --keystore gov-1.json") == 0
    assert desk.view("leavesAt", 1) == 0


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda text: text.replace('"organisation": 1', '"organisation": 2'), "not by this key"),
        (lambda text: text.replace('"chainId": ', '"chainId": 1'), "another consortium"),
        (lambda text: text.replace('"proof": "', '"proof": "00'), "Not a signature"),
        (lambda text: text.replace('"proof": "', '"proof": "zz'), "Not a file of proofs"),
        (lambda text: text.replace("Verdict", "Janitor"), "No such role"),
        (lambda text: text.replace("Verdict", "Builder"), "not by this key"),
        (lambda _: "[]", "not a JSON object"),
    ],
)  # fmt: skip
def test_a_file_of_proofs_that_does_not_hold_is_wrong_use(
    desk: Desk, change: object, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    desk.mol("key new v.json")
    desk.mol("key prove --organisation 1 --file p.json --verdict v.json")
    proofs = desk.folder / "p.json"
    assert callable(change)
    proofs.write_text(change(proofs.read_text("utf-8")), encoding="utf-8")

    assert desk.mol("key rotate p.json --keystore gov-1.json") == 2
    assert why in capsys.readouterr().err


def test_what_is_not_given_is_asked_for(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.mol("key new b.json v.json")

    assert desk.mol("key prove --organisation 1 --file p.json") == 2
    assert "at least one keystore" in capsys.readouterr().err
    desk.mol("key prove --organisation 1 --file b.proof --builder b.json")
    assert desk.mol("key rotate b.proof --keystore gov-1.json") == 2
    assert "AddBuilder" in capsys.readouterr().err
    desk.mol("key prove --organisation 1 --file v.proof --verdict v.json")
    assert desk.mol("key recover v.proof --keystore rec-1.json") == 2
    assert "lacks a key" in capsys.readouterr().err


def test_a_keys_proof_is_what_the_contract_asks_for(desk: Desk) -> None:
    place = desk.founded.deployment
    ours = possession_digest(place.consortium, place.chain_id, 4, VERDICT)

    assert desk.view("possession", 4, VERDICT) == ours
