"""Notes into a mailbox folder (Maildir), for any mail program that reads one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from pathlib import Path

from integrations import files
from integrations.dropbox import DropBox, Parcel
from integrations.notifications import message
from ledger_service.domain.records import Delivery


class MaildirNotes:
    """The Destination port: one file in `new/` per note, even if the reader moved it on since.

    `recipient_of`: asset -> address; `link`: where the order is shown, with `{order}` in it.
    """

    name = "notifications"

    def __init__(
        self, folder: Path, sender: str, recipient_of: Callable[[str], str], *, link: str = ""
    ) -> None:
        self._folder = folder
        self._sender = sender
        self._recipient_of = recipient_of
        self._link = link
        self._box = DropBox(folder, staging="tmp", records="delivered")

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Put the note into the mailbox. Raise DestinationDown, DestinationRefused."""
        note = message.compose(
            delivery,
            sender=self._sender,
            recipient=self._recipient_of(delivery.payload["asset"]),
            link=self._link,
        )
        reference: dict[str, object] = {"channel": "maildir", "id": note["Message-ID"]}
        name = _file_name(delivery)
        lock = files.lock_of(message.identity(delivery))
        parcel = Parcel(note.as_bytes(), f"new/{name}", {**reference, "file": f"new/{name}"})
        return await files.on_disk(self.name, lambda: self._put(lock, name, parcel))

    async def close(self) -> None:
        """Hold nothing open."""

    def _put(self, lock: str, name: str, parcel: Parcel) -> dict[str, object]:
        with files.locked(self._folder, lock):
            for part in ("new", "cur", "tmp"):
                files.make_folder(self._folder / part)
            return self._box.put(name, parcel)


def _file_name(delivery: Delivery) -> str:
    """Return `seconds.unique.host`, the same for a repeat."""
    seconds = int(datetime.fromisoformat(delivery.payload["at"]).timestamp())
    return f"{seconds}.{message.identity(delivery)}.ledger"
