"""Destinations as the settings name them. Each adapter is imported only where it is used."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.domain import errors


class Closable(ports.Destination, Protocol):
    """A destination that holds connections."""

    async def close(self) -> None:
        """Give them back."""


def open_destinations(settings: config.Settings) -> tuple[Closable, ...]:
    """Return one destination for each section of the settings. Raise ConfigError."""
    sections = settings.destinations
    found: list[Closable] = []
    if sections.documents is not None:
        found.append(_documents(settings, sections.documents))
    if sections.erp is not None:
        found.append(_erp(settings, sections.erp))
    if sections.notifications is not None:
        found.append(_notifications(settings, sections.notifications))
    if sections.events is not None:
        found.append(_events(settings, sections.events))
    return tuple(found)


def _documents(settings: config.Settings, section: config.Documents) -> Closable:
    if section.kind == "folder":
        from integrations.documents.folder import FolderDocuments  # noqa: PLC0415  on demand

        return FolderDocuments(settings.path(section.path))
    try:
        from integrations.cosmos import CosmosDocuments  # noqa: PLC0415  an extra of its own
    except ImportError as exc:
        text = "Cosmos DB needs `pip install 'maintenance-order-ledger[cosmos]'`."
        raise errors.ConfigError(text, found=exc) from exc
    key = secret(settings, section.key_file)
    return CosmosDocuments(section.url, key, section.database, section.container)


def _erp(settings: config.Settings, section: config.Erp) -> Closable:
    from integrations.erp.ubl import UblOrders  # noqa: PLC0415  on demand

    return UblOrders(settings.path(section.path), buyer=section.buyer)


def _notifications(settings: config.Settings, section: config.Notifications) -> Closable:
    from integrations.notifications import MaildirNotes, SmtpNotes  # noqa: PLC0415  on demand

    recipient = recipients(settings, section)
    link = f"{settings.base_url}/v1/orders/{{order}}"
    if section.kind == "maildir":
        return MaildirNotes(settings.path(section.path), section.sender, recipient, link=link)
    password = secret(settings, section.password_file) if section.password_file else ""
    return SmtpNotes(
        host=section.host,
        port=section.port,
        sender=section.sender,
        recipient_of=recipient,
        user=section.user,
        password=password,
        tls=section.tls,
        link=link,
    )


def _events(settings: config.Settings, section: config.Events) -> Closable:
    from integrations.events import EventsFile, Webhook  # noqa: PLC0415  on demand

    if section.kind == "file":
        return EventsFile(settings.path(section.path), section.source)
    return Webhook(section.url, secret(settings, section.secret_file), section.source)


def recipients(settings: config.Settings, section: config.Notifications) -> Callable[[str], str]:
    """Return asset -> address of its technician, or the common one."""
    own: Mapping[str, str] = {
        name: asset.technician for name, asset in settings.orders.assets.items()
    }
    return lambda asset: own.get(asset) or section.recipient


def secret(settings: config.Settings, file: Path | None) -> str:
    """Read a secret from its file. Raise ConfigError."""
    assert file is not None, "settings demand it"
    path = settings.path(file)
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise errors.ConfigError("A secret cannot be read.", file=path) from exc
