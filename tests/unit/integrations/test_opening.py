from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from integrations.cosmos import CosmosDocuments
from integrations.documents.folder import FolderDocuments
from integrations.erp.ubl import UblOrders
from integrations.events import EventsFile, Webhook
from integrations.notifications import MaildirNotes, SmtpNotes
from ledger_service.domain import errors
from ledger_service.settings import Settings
from ledger_service.wiring.destinations import open_destinations
from tests.peers.deliveries import told

REMOTE = {
    "documents": {"kind": "cosmos", "url": "https://plant.example", "key_file": "key"},
    "notifications": {"kind": "smtp", "host": "mail.plant.example", "password_file": "key"},
    "events": {"kind": "webhook", "url": "https://plant.example/hook", "secret_file": "key"},
}


def settings(root: Path, **sections: Any) -> Settings:
    return Settings(root=root, **sections)


async def test_without_a_word_the_four_embedded_ones_are_opened_and_deliver(
    tmp_path: Path,
) -> None:
    opened = open_destinations(settings(tmp_path))

    for destination in opened:
        await destination.deliver(told(destination.name))
        await destination.close()

    assert [type(destination) for destination in opened] == [
        FolderDocuments,
        UblOrders,
        MaildirNotes,
        EventsFile,
    ]
    assert [destination.name for destination in opened] == [
        "documents",
        "erp",
        "notifications",
        "events",
    ]


async def test_the_remote_ones_are_opened_by_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("c2VjcmV0\n", encoding="utf-8")

    opened = open_destinations(settings(tmp_path, destinations=REMOTE))

    assert {type(destination) for destination in opened} == {
        CosmosDocuments,
        UblOrders,
        SmtpNotes,
        Webhook,
    }
    for destination in opened:
        await destination.close()


async def test_a_section_left_out_opens_nothing(tmp_path: Path) -> None:
    off = dict.fromkeys(("documents", "erp", "notifications", "events"))

    assert open_destinations(settings(tmp_path, destinations=off)) == ()


async def test_a_secret_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(errors.ConfigError, match="key"):
        open_destinations(settings(tmp_path, destinations=REMOTE))


async def test_an_asset_s_own_technician_is_told_with_a_link(tmp_path: Path) -> None:
    assets = {"1/robot-7": {"type": "robot", "technician": "anna@plant.example"}}
    sections = {
        "orders": {"assets": assets},
        "api": {"base_url": "https://ledger.plant.example"},
    }
    found = open_destinations(settings(tmp_path, **sections))
    [notes] = [destination for destination in found if destination.name == "notifications"]
    delivery = told("notifications")

    await notes.deliver(delivery)

    [mail] = [path.read_text(encoding="utf-8") for path in (tmp_path / "mailbox/new").iterdir()]
    assert "To: anna@plant.example" in mail
    assert f"https://ledger.plant.example/v1/orders/{delivery.key}" in mail.replace("=\n", "")


def test_a_package_that_is_not_installed_is_named_with_the_way_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text("c2VjcmV0\n", encoding="utf-8")
    for name in [name for name in sys.modules if name.startswith("integrations.cosmos")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "azure.cosmos", None)  # what Python does for what is missing

    with pytest.raises(errors.ConfigError, match=r"\[cosmos\]"):
        open_destinations(settings(tmp_path, destinations=REMOTE))
