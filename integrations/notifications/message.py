"""A note as an e-mail: plain text, and HTML that looks good. Pure."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from email.errors import MessageError
from email.headerregistry import Address, HeaderRegistry
from email.message import EmailMessage
from email.policy import SMTP
from functools import cache, lru_cache
from typing import Any

from integrations.notifications import page
from integrations.notifications.note import Note, note_of
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery

#: One address in ASCII, nothing else: no list, no name, no control character.
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,253}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_WIDTH = 76


class _Headers(HeaderRegistry):
    """Keeps the classes of headers, of which the library would make one for each header."""

    @cache  # noqa: B019  one registry, a handful of names
    def __getitem__(self, name: str) -> type:
        return super().__getitem__(name)


_POLICY = SMTP.clone(header_factory=_Headers())


def identity(delivery: Delivery) -> str:
    """Return 32 hex digits that are the same for a repeat and for nothing else."""
    return hashlib.sha256(delivery.dedup.encode()).hexdigest()[:32]


def compose(delivery: Delivery, *, sender: str, recipient: str, link: str) -> EmailMessage:
    """Write the message; the same delivery gives the same bytes. Raise DestinationRefused."""
    note = note_of(delivery.payload, link=link)
    message = EmailMessage(policy=_POLICY)
    domain = _address(sender).domain
    try:
        message["From"] = _address(sender)
        message["To"] = _address(recipient)
        message["Subject"] = _header(note.subject)
        message["Date"] = datetime.fromisoformat(delivery.payload["at"])
        message["Message-ID"] = f"<{identity(delivery)}@{domain}>"
        _thread(message, delivery.payload, domain)
        message["X-Order-Id"] = delivery.payload["order"]
        if note.urgent:
            message["Importance"] = "high"
            message["X-Priority"] = "1"
        message.set_content(plain(note), cte="quoted-printable")
        message.add_alternative(page.html(note), subtype="html", cte="quoted-printable")
    except (ValueError, MessageError) as exc:
        raise errors.DestinationRefused("No message can be made of this.", found=exc) from exc
    message.set_boundary(f"=_{identity(delivery)}")
    return message


def plain(note: Note) -> str:
    """Write the note for readers without HTML."""
    width = max(len(label) for label, _ in note.facts)
    lines = [note.headline, "-" * min(len(note.headline), _WIDTH), "", note.lead, ""]
    lines += [f"{label:<{width}}  {value}" for label, value in note.facts]
    for section in note.sections:
        lines += ["", section.title, "-" * len(section.title)]
        marks = (f"{n}." if section.numbered else "-" for n in range(1, len(section.lines) + 1))
        lines += [f"{mark} {line}" for mark, line in zip(marks, section.lines, strict=True)]
    if note.link:
        lines += ["", f"The order as data (needs your token): {note.link}"]
    return "\n".join(lines) + "\n"


def _thread(message: EmailMessage, payload: dict[str, Any], domain: str) -> None:
    """Let mail programs show an order's notes together; nobody answers a machine."""
    message["References"] = f"<order.{payload['order'][:32]}@{domain}>"
    message["Auto-Submitted"] = "auto-generated"


@lru_cache(maxsize=256)
def _address(text: str) -> Address:
    if not _ADDRESS.fullmatch(text):
        raise errors.DestinationRefused("Not one plain e-mail address.", found=repr(text[:80]))
    return Address(addr_spec=text)


def _header(text: str) -> str:
    """Return the text as one line: a line break in it must not begin another header."""
    line = " ".join(text.split())
    if _CONTROL.search(line):
        raise errors.DestinationRefused("A header cannot hold this.", found=repr(line[:80]))
    return line
