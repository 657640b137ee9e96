from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from integrations.events import EventsFile, Webhook
from integrations.events.mapping import event
from integrations.events.pause import LONGEST, seconds_of
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from tests.peers.deliveries import told

SOURCE = "urn:plant:ledger"
NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_an_event_carries_the_fact_with_its_id() -> None:
    payload = told("events").payload

    read = json.loads(event(payload, SOURCE))

    assert {name: value for name, value in read.items() if name != "data"} == {
        "specversion": "1.0",
        "id": payload["eventId"],
        "source": SOURCE,
        "type": "maintenance-order-ledger.order.validated.v1",
        "subject": payload["order"],
        "time": "2026-11-24T09:00:03Z",
        "datacontenttype": "application/json",
    }
    assert read["data"]["order"] == payload["order"]
    assert read["data"]["document"] == payload["document"]


def test_a_fact_without_an_id_makes_no_event() -> None:
    with pytest.raises(errors.DestinationRefused, match="CloudEvent"):
        event({**told("events").payload, "eventId": ""}, SOURCE)


@pytest.mark.parametrize("secret", ["whsec_", "", "whsec_é"])
def test_a_secret_that_is_none_is_found_at_the_start(secret: str) -> None:
    with pytest.raises(errors.ConfigError, match="secret"):
        Webhook("https://erp.plant.example/hook", secret, SOURCE)


@pytest.mark.parametrize(
    "url", ["", "ftp://plant.example", "https://", "plant.example/hook", "http://[::1"]
)
def test_an_address_that_is_none_is_found_at_the_start(url: str) -> None:
    with pytest.raises(errors.ConfigError, match="http"):
        Webhook(url, "whsec_c2VjcmV0", SOURCE)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("Tue, 24 Nov 2026 09:00:30 GMT", 30.0),
        ("Tue, 24 Nov 2026 08:00:00 GMT", 0.0),
        ("999999999", LONGEST),
        ("", 0.0),
        ("soon", 0.0),
        ("-3", 0.0),
    ],
)
def test_a_server_s_wish_for_a_pause_is_read(header: str, seconds: float) -> None:
    assert seconds_of(header, NOW) == seconds


async def test_half_a_line_that_a_kill_left_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    first, second = told("events"), told("events", Status.CANCELLED)
    await EventsFile(path, SOURCE).deliver(first)
    whole = path.read_bytes()
    torn = event(second.payload, SOURCE) + b"\n"
    for end in (1, len(torn) // 2, len(torn) - 1):
        path.write_bytes(whole + torn[:end])

        await EventsFile(path, SOURCE).deliver(second)

        assert path.read_bytes() == whole + torn


async def test_two_writers_of_one_file_know_each_other_s_events(tmp_path: Path) -> None:
    one, other = (EventsFile(tmp_path / "events.jsonl", SOURCE) for _ in range(2))
    deliveries = [told("events", of=order) for order in range(6)]

    for delivery in deliveries:
        await one.deliver(delivery)
        await other.deliver(delivery)
        await one.deliver(delivery)

    lines = (tmp_path / "events.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["id"] for line in lines] == [
        delivery.payload["eventId"] for delivery in deliveries
    ]


async def test_a_file_that_was_rotated_away_is_begun_anew(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    events = EventsFile(path, SOURCE)
    await events.deliver(told("events", of=1))
    path.rename(tmp_path / "events.1.jsonl")

    await events.deliver(told("events", of=2))

    assert len(path.read_text(encoding="utf-8").splitlines()) == 1
