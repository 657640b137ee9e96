"""What a technician is told of an order: what, why, where, how to lock out, until when. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ledger_service.domain.lifecycle import Status
from ledger_service.domain.units import Quantity


@dataclass(frozen=True, slots=True)
class Section:
    """A heading with lines; `numbered`: in this order."""

    title: str
    lines: Sequence[str]
    numbered: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A note, independent of how it looks. `urgent` ones stand out; `facts`: label, value."""

    subject: str
    headline: str
    lead: str
    urgent: bool
    facts: Sequence[tuple[str, str]]
    sections: Sequence[Section]
    link: str


#: Status -> (first word of the subject, what it means to the reader).
LEADS: Mapping[Status, tuple[str, str]] = {
    Status.VALIDATED: (
        "Work order",
        "All parties have checked and approved this order. The parts are ordered.",
    ),
    Status.EMERGENCY: (
        "EMERGENCY",
        "Make the machine safe now. The order is not ratified yet: nothing is bought until it is.",
    ),
    Status.RATIFIED: (
        "Ratified",
        "The emergency order is ratified by all parties. The parts are ordered.",
    ),
    Status.CONTESTED: (
        "CONTESTED",
        (
            "The emergency was not ratified. Nothing will be bought. Leave the machine safe, do no"
            " further work on this order, and report what was done."
        ),
    ),
    Status.CANCELLED: ("CANCELLED", "Do not do this work: the parties cancelled the order."),
}
#: In these the work is to be done; in the others the reader must not find instructions.
_WORK = frozenset({Status.VALIDATED, Status.EMERGENCY, Status.RATIFIED})
#: In these the service takes the report of the end.
_REPORTED = frozenset({Status.VALIDATED, Status.RATIFIED, Status.CONTESTED})
#: UCUM codes that people write otherwise; of the others a point is a product.
_UNITS = {"Cel": "°C"}


def note_of(payload: Mapping[str, Any], *, link: str) -> Note:
    """Read a delivery's payload. `link` may hold `{order}`."""
    status = Status[payload["status"].upper()]
    document, where = payload["document"], link.replace("{order}", payload["order"])
    word, lead = LEADS.get(status, (status.title, f"The order is {status.title.lower()} now."))
    deadline = moment(document["deadline"])
    due = f", due {deadline}" if status in _WORK else ""
    return Note(
        subject=f"[P{document['priority']}] {word}: {document['title']}, {payload['asset']}{due}",
        headline=document["title"],
        lead=f"{lead} {payload['reason']}".strip(),
        urgent=status in {Status.EMERGENCY, Status.CONTESTED, Status.CANCELLED},
        facts=_facts(payload, document, deadline),
        sections=[
            *(_work(document) if status in _WORK else ()),
            *(_end(where) if where and status in _REPORTED else ()),
        ],
        link=where,
    )


def _facts(
    payload: Mapping[str, Any], document: Mapping[str, Any], deadline: str
) -> list[tuple[str, str]]:
    window = document["window"]
    return [
        ("Machine", f"{payload['asset']} ({document['assetType']})"),
        ("State", payload["status"]),
        ("Priority", f"{document['priority']} (1 is the most urgent)"),
        ("Deadline", deadline),
        ("Expected duration", f"{document['expectedMinutes']} minutes"),
        ("Skill", document["skill"]),
        ("Why", document["failureMode"].replace("-", " ")),
        (
            "Score",
            f"{quantity(document['score'])}, threshold {quantity(document['threshold'])}",
        ),
        ("Seen", f"{moment(window['start'])} to {moment(window['end'])}"),
        ("Approvals", str(len(payload["approvals"]))),
        ("Order", payload["order"]),
        ("Evidence", payload["evidence"]),
    ]


def _work(document: Mapping[str, Any]) -> list[Section]:
    sections = [
        Section("Before you start: lock out", document["lockOut"], numbered=True),
        Section(
            "Work",
            [f"{task['description']} ({task['minutes']} min)" for task in document["tasks"]],
            numbered=True,
        ),
        Section(
            f"Parts, from {document['supplier']['name']}",
            [
                f"{part['quantity']} x {part['number']}: {part['description']}"
                for part in document["parts"]
            ],
        ),
        Section(
            "What the machine showed",
            [f"{item['name']}: {quantity(item)}" for item in document["features"]],
        ),
    ]
    return [section for section in sections if section.lines]


def _end(link: str) -> list[Section]:
    """Say how the end is reported: the exact call, for whoever holds a technician's token."""
    call = (
        'curl -H "Authorization: Bearer $(cat technician.token)" -H "Content-Type: text/plain" '
        f'--data-binary @report.txt "{link}/close-out?outcome=cured"'
    )
    return [
        Section(
            "When the work is done",
            [
                "Write what was done into a file, here report.txt (any format, up to 256 KiB).",
                f"Send it, with your token in technician.token: {call}",
                "Instead of cured say not-cured, false-alarm or not-carried-out where it is so.",
                "No token yet? It comes from: mol token create --role technician --file technician.token",
            ],
        )
    ]


def quantity(fields: Mapping[str, Any]) -> str:
    """Write a scaled integer as people read it."""
    read = Quantity.from_json(dict(fields))
    unit = "" if read.unit == "1" else f" {_UNITS.get(read.unit, read.unit.replace('.', '·'))}"
    return f"{read.decimal():f}{unit}"


def moment(text: str) -> str:
    """Write a time as people read it."""
    return f"{datetime.fromisoformat(text):%d %b %Y %H:%M} UTC"
