"""Whether the disks that the service writes on have room, for `mol doctor`."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from sqlalchemy import make_url

from ledger_service import settings as config
from ledger_service.commands.findings import Finding
from ledger_service.wiring.service import database_url

MIB = 1024 * 1024
#: Less than both is too little: small disks are full later, large ones are never full at a share.
LEAST_BYTES, LEAST_SHARE = 64 * MIB, 0.05


def look_at_disks(settings: config.Settings) -> Finding:
    """Say which of the folders on this machine have hardly any room left."""
    full = [line for name, place in _places(settings) if (line := _complaint(name, place))]
    if not full:
        return Finding("disks", ok=True, text="there is room")
    return Finding("disks", ok=False, text="; ".join(full), todo="make room; all goes on by itself")


def _complaint(name: str, place: Path) -> str:
    there = next(each for each in (place, *place.parents) if each.exists())
    usage = shutil.disk_usage(there)
    if usage.free >= min(LEAST_BYTES, usage.total * LEAST_SHARE):
        return ""
    return f"{name}: {usage.free // MIB} MiB free of {usage.total // MIB} at {place}"


def _places(settings: config.Settings) -> Iterator[tuple[str, Path]]:
    """Return what is kept in folders here, and where."""
    url = make_url(database_url(settings))
    if url.get_backend_name() == "sqlite" and url.database:
        yield "database", Path(url.database).parent
    storage = urlsplit(settings.storage.url)
    if storage.scheme in {"", "file"}:
        yield "objects", settings.path(Path(storage.path)).resolve()
    to = settings.destinations
    if to.documents is not None and to.documents.kind == "folder":
        yield "documents", settings.path(to.documents.path).resolve()
    if to.erp is not None:
        yield "erp", settings.path(to.erp.path).resolve()
    if to.notifications is not None and to.notifications.kind == "maildir":
        yield "notifications", settings.path(to.notifications.path).resolve()
    if to.events is not None and to.events.kind == "file":
        yield "events", settings.path(to.events.path).resolve().parent
