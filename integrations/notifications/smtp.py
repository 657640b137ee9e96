"""Notes over SMTP."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from email.message import EmailMessage

import aiosmtplib

from integrations.notifications import message
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery

TIMEOUT_SECONDS = 20.0
#: On this port TLS comes before the first word; elsewhere STARTTLS is demanded.
SMTPS_PORT = 465
_PERMANENT = range(500, 600)


class SmtpNotes:
    """The Destination port: one message per note, over a connection of its own.

    SMTP cannot be asked what became of a message, so a lost answer may bring it twice; both have
    the same Message-ID, by which mail stores and programs recognise a double.
    """

    name = "notifications"

    def __init__(
        self,
        *,
        host: str,
        port: int,
        sender: str,
        recipient_of: Callable[[str], str],
        user: str = "",
        password: str = "",
        tls: bool = True,
        context: ssl.SSLContext | None = None,
        link: str = "",
        timeout: float = TIMEOUT_SECONDS,
    ) -> None:
        """`context`: which certificates are trusted; None: the system's."""
        self._host = host
        self._port = port
        self._sender = sender
        self._recipient_of = recipient_of
        self._user = user
        self._password = password
        self._tls = tls
        self._context = context
        self._link = link
        self._timeout = timeout

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Send the note. Raise DestinationDown, DestinationRefused."""
        note = message.compose(
            delivery,
            sender=self._sender,
            recipient=self._recipient_of(delivery.payload["asset"]),
            link=self._link,
        )
        try:
            await self._send(note)
        except aiosmtplib.SMTPRecipientsRefused as exc:
            raise _named(exc.recipients[0]) from exc
        except aiosmtplib.SMTPResponseException as exc:
            raise _named(exc) from exc
        except (aiosmtplib.SMTPException, OSError) as exc:
            raise errors.DestinationDown(str(exc) or repr(exc), host=self._host) from exc
        return {"channel": "smtp", "id": note["Message-ID"]}

    async def close(self) -> None:
        """Hold nothing open."""

    async def _send(self, note: EmailMessage) -> None:
        implicit = self._tls and self._port == SMTPS_PORT
        async with aiosmtplib.SMTP(
            hostname=self._host,
            port=self._port,
            use_tls=implicit,
            start_tls=self._tls and not implicit,
            username=self._user or None,
            password=self._password or None,
            tls_context=self._context,
            timeout=self._timeout,
        ) as client:
            await client.send_message(note)


def _named(exc: aiosmtplib.SMTPResponseException) -> errors.RelayError:
    """Tell `never` (5xx) from `later`."""
    kind = errors.DestinationRefused if exc.code in _PERMANENT else errors.DestinationDown
    return kind(f"{exc.code} {exc.message}")
