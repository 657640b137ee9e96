"""`mol demo`, embedded: from nothing to delivered orders, and one bundle that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.demos import Ended, check_validated, mol_demo, needles


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Ended:
    folder = tmp_path_factory.mktemp("demo") / "out"
    done = mol_demo("--out", str(folder), "--json")
    assert done.returncode == 0, done.stderr[-3000:]
    return Ended(folder, json.loads(done.stdout))


def test_five_orders_are_approved_by_all_and_stand_at_every_destination(ended: Ended) -> None:
    validated = ended.orders("Validated")

    assert len(validated) >= 5
    for order in validated:
        check_validated(ended, order)


def test_a_claim_that_the_data_does_not_bear_out_is_refused_and_buys_nothing(ended: Ended) -> None:
    (refused,) = ended.orders("Refused")

    assert refused["reason"] == "Score conflict"
    assert refused["destinations"]["erp"] is None
    assert refused["orderId"] not in ended.purchase_orders.values()
    assert refused["orderId"] not in ended.notes
    assert ended.document(refused["orderId"])["status"] == "Refused"


def test_the_report_on_disk_is_what_was_printed(ended: Ended) -> None:
    assert json.loads((ended.folder / "report.json").read_text("utf-8")) == ended.report
    assert ended.report["counts"] == {"submitted": 6, "validated": 5, "refused": 1, "failed": 0}
    assert ended.report["chain"]["kind"] == "embedded"


def test_no_key_and_no_password_is_in_a_log_or_in_the_database(ended: Ended) -> None:
    secrets = needles(ended.folder)
    places = [
        file
        for file in ended.folder.rglob("*")
        if file.is_file() and file.parent.name not in {"keys", "tokens"}
    ]

    assert len(secrets) == 11 * 2 + 8
    names = {file.name for file in places}
    assert names >= {"mol.db", "service.log", "journal.jsonl", "blocks.log", "agent.toml"}
    for place in places:
        data = place.read_bytes()
        told = [name for name, forms in secrets.items() if any(form in data for form in forms)]
        assert told == [], place


def test_a_folder_that_is_no_demo_is_not_emptied(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("ten years of work", encoding="utf-8")

    done = mol_demo("--out", str(tmp_path))

    assert done.returncode == 2
    assert "--out" in done.stderr
    assert (tmp_path / "thesis.txt").exists()


@pytest.mark.parametrize("option", [("--dest", "real"), ("--edge",)])
def test_what_is_not_there_yet_says_so(option: tuple[str, ...]) -> None:
    done = mol_demo(*option)

    assert done.returncode == 2
    assert "later capability" in done.stderr


def test_qbft_without_a_node_says_how_to_get_one(tmp_path: Path) -> None:
    done = mol_demo("--chain", "qbft", "--out", str(tmp_path / "out"), PATH="/nowhere")

    assert done.returncode == 2
    assert "MOL_BESU" in done.stderr
