from __future__ import annotations

from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from html import unescape

import pytest

from integrations.notifications.message import compose
from integrations.notifications.note import quantity
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Delivery
from tests.peers.deliveries import told

LINK = "https://ledger.plant.example/orders/{order}"


def written(delivery: Delivery, recipient: str = "technician@plant.example") -> EmailMessage:
    """Return the message as a mail program reads it."""
    made = compose(delivery, sender="maintenance@plant.example", recipient=recipient, link=LINK)
    return message_from_bytes(made.as_bytes(), policy=default)


def text(message: EmailMessage, kind: str) -> str:
    part = message.get_body((kind,))
    assert isinstance(part, EmailMessage)
    content: str = part.get_content()
    return content.replace("\r\n", "\n")


def test_the_note_says_what_why_where_how_safely_with_what_and_until_when() -> None:
    delivery = told("notifications")
    message = written(delivery)

    assert message["Subject"] == (
        "[P2] Work order: Change the drill and re-measure the tool, 1/robot-7,"
        " due 26 Nov 2026 09:00 UTC"
    )
    body = text(message, "plain")
    for fact in (
        "Change the drill and re-measure the tool",
        "dull tool",
        "1.234, threshold 0.900",
        "drill temperature: 61.250 °C",
        "1/robot-7 (robot)",
        "1. Hold the spindle with the setup key\n2. Close the air valve",
        "3 x DRL-12: Drill Ø 12 mm",
        "26 Nov 2026 09:00 UTC",
        f"https://ledger.plant.example/orders/{delivery.key}",
        delivery.payload["evidence"],
    ):
        assert fact in body


def test_the_page_says_the_same_and_escapes_what_is_not_markup() -> None:
    page = text(written(told("notifications")), "html")

    assert "Collet &lt;ER32&gt;" in page
    assert "Cutting Tools &amp; Co" in page
    assert "<li>Close the air valve</li>" in page
    assert "<script" not in page
    assert 'src="' not in page


def test_a_repeat_is_the_same_bytes_and_another_fact_another_message() -> None:
    def made(delivery: Delivery) -> bytes:
        return compose(
            delivery, sender="m@plant.example", recipient="t@plant.example", link=""
        ).as_bytes()

    assert made(told("notifications")) == made(told("notifications"))
    ids = {
        written(told("notifications", status, of=order))["Message-ID"]
        for status in (Status.VALIDATED, Status.CANCELLED)
        for order in (1, 2)
    }
    assert len(ids) == 4


@pytest.mark.parametrize("status", [Status.VALIDATED, Status.RATIFIED, Status.CONTESTED])
def test_who_has_done_the_work_reads_the_call_that_reports_it(status: Status) -> None:
    delivery = told("notifications", status)
    message = written(delivery)
    call = (
        'curl -H "Authorization: Bearer $(cat technician.token)" -H "Content-Type: text/plain"'
        " --data-binary @report.txt"
        f' "https://ledger.plant.example/orders/{delivery.key}/close-out?outcome=cured"'
    )

    body = text(message, "plain")
    assert "When the work is done" in body
    assert call in body
    assert "not-cured, false-alarm or not-carried-out" in body
    assert call in unescape(text(message, "html"))


@pytest.mark.parametrize("status", [Status.EMERGENCY, Status.CANCELLED])
def test_an_end_that_the_service_would_not_take_is_not_asked_for(status: Status) -> None:
    assert "close-out" not in text(written(told("notifications", status)), "plain")


@pytest.mark.parametrize(
    ("unit", "shown"), [("Cel", "1.5 °C"), ("N.cm", "1.5 N·cm"), ("rpm", "1.5 rpm"), ("1", "1.5")]
)
def test_units_are_written_as_people_read_them(unit: str, shown: str) -> None:
    assert quantity({"value": 15, "exponent": -1, "unit": unit}) == shown


def test_an_order_s_notes_are_shown_together() -> None:
    first = written(told("notifications"))
    second = written(told("notifications", Status.CANCELLED))

    assert first["References"] == second["References"]


@pytest.mark.parametrize("status", [Status.CANCELLED, Status.CONTESTED])
def test_who_must_not_work_gets_no_instructions(status: Status) -> None:
    message = written(told("notifications", status))

    assert "Change the drill (10 min)" not in text(message, "plain")
    assert message["Importance"] == "high"


def test_an_emergency_says_that_nothing_is_bought_yet() -> None:
    message = written(told("notifications", Status.EMERGENCY))

    assert "EMERGENCY" in message["Subject"]
    assert "nothing is bought until it is" in text(message, "plain")
    assert "Hold the spindle" in text(message, "plain")


def test_a_line_break_in_a_title_does_not_begin_another_header() -> None:
    message = written(told("notifications", title="Oil\nBcc: everybody@plant.example"))

    assert message["Bcc"] is None
    assert "Oil Bcc: everybody@plant.example" in message["Subject"]


@pytest.mark.parametrize(
    "recipient",
    [
        "technician@plant.example\r\nBcc: everybody@plant.example",
        "technician@plant.example, everybody@plant.example",
        "Technician <technician@plant.example>",
        "technician",
        "",
    ],
)
def test_what_is_not_one_plain_address_is_refused(recipient: str) -> None:
    with pytest.raises(errors.DestinationRefused, match="address"):
        written(told("notifications"), recipient)


def test_a_control_character_in_a_header_is_refused() -> None:
    with pytest.raises(errors.DestinationRefused, match="header"):
        written(told("notifications", asset="1/robot-\x07"))


def test_the_library_itself_would_write_what_was_read_byte_for_byte() -> None:
    link, people = LINK, {"sender": "maintenance@plant.example", "recipient": "a@b.example"}
    made = compose(told("notifications"), **people, link=link).as_bytes()

    assert message_from_bytes(made, policy=SMTP).as_bytes() == made
