"""Running `mol demo` as people do, and looking at what it left behind."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from dataclasses import dataclass
from email import message_from_bytes
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from eth_account import Account
from lxml import etree

from ledger_service.domain import errors, profile, result
from validators.network.binaries import find_qbft
from validators.network.geth_build import cached_geth

ROOT = Path(__file__).parents[2]
SECONDS = 280
UBL = {
    "cbc": "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2",
}


def mol_demo(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run it; standard output is the report with `--json`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MOL_")}
    return subprocess.run(
        [sys.executable, "-m", "ledger_service", "demo", *arguments],
        cwd=ROOT,
        env={**kept, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )


async def node_or_skip(kind: str) -> None:
    """Skip where the program of the chain's nodes is not there."""
    if kind == "clique" and not cached_geth().exists() and shutil.which("go") is None:
        pytest.skip("geth 1.13.15 is not built and Go is not there to build it")
    if kind == "qbft":
        try:
            await find_qbft(None)
        except errors.NodeBinaryMissing as exc:
            pytest.skip(f"no QBFT node here: {exc}")


def needles(folder: Path) -> dict[str, tuple[bytes, ...]]:
    """Each secret file of a demo -> every form in which its secret must lie nowhere else."""
    texts = {*(folder / "keys").glob("*.password"), *(folder / "tokens").iterdir()}
    found: dict[str, tuple[bytes, ...]] = {}
    found |= {file.name: (file.read_text("utf-8").strip().encode(),) for file in texts}
    for keystore in (folder / "keys").glob("*.json"):
        password = keystore.with_suffix(".password").read_text("utf-8").strip()
        key = bytes(Account.decrypt(json.loads(keystore.read_text("utf-8")), password))
        found[keystore.name] = (key, key.hex().encode(), key.hex().upper().encode())
    return found


@dataclass(frozen=True)
class Ended:
    """A demo that has ended: its folder and its report."""

    folder: Path
    report: dict[str, Any]

    @property
    def service(self) -> Path:
        return self.folder / "service"

    def orders(self, state: str) -> list[dict[str, Any]]:
        return [order for order in self.report["orders"] if order["state"] == state]

    @cached_property
    def events(self) -> list[dict[str, Any]]:
        lines = (self.service / "events.jsonl").read_text("utf-8").splitlines()
        return [json.loads(line) for line in lines]

    @cached_property
    def purchase_orders(self) -> dict[str, str]:
        """Number -> order id that stands in it."""
        files = (self.service / "purchase-orders/orders").glob("*.xml")
        found = {}
        for file in files:
            order = etree.parse(file)
            found[order.findtext("cbc:ID", namespaces=UBL)] = order.findtext(
                "cbc:CustomerReference", namespaces=UBL
            )
        return found

    @cached_property
    def notes(self) -> list[str]:
        """The order ids that the mailbox holds a note about."""
        messages = (message_from_bytes(f.read_bytes()) for f in self.mailbox.iterdir())
        return [str(message["X-Order-Id"]).strip() for message in messages]

    @property
    def mailbox(self) -> Path:
        return self.service / "mailbox/new"

    def document(self, order: str) -> dict[str, Any]:
        text = (self.service / "documents" / f"{order}.json").read_text("utf-8")
        loaded: dict[str, Any] = json.loads(text)
        return loaded

    @cached_property
    def results(self) -> dict[str, bytes]:
        """Digest -> result document, as the organisations handed them in."""
        with sqlite3.connect(f"file:{self.service / 'mol.db'}?mode=ro", uri=True) as database:
            rows = database.execute("SELECT document FROM result").fetchall()
        database.close()
        return {result.result_digest(row[0]).hex(): row[0] for row in rows}


def check_validated(ended: Ended, order: dict[str, Any]) -> None:
    """All organisations said the same by the profile, and each destination holds it once."""
    approvals = order["approvals"]
    opened = [result.loads(ended.results[approval["resultDigest"]]) for approval in approvals]
    name = order["orderId"]

    assert sorted(document.organisation for document in opened) == [1, 2, 3]
    assert {document.order.hex() for document in opened} == {name}
    assert [document.score for document in opened] == [a["score"] for a in approvals]
    assert all(profile.agree(opened[0].score, document.score) for document in opened)
    assert {place["state"] for place in order["destinations"].values()} == {"done"}
    assert ended.purchase_orders[order["destinations"]["erp"]["number"]] == name
    assert ended.document(name)["status"] == "Validated"
    assert ended.notes.count(name) == 1
    told = [event for event in ended.events if event["subject"] == name]
    assert [event["id"] for event in told] == [order["destinations"]["events"]["id"]]
