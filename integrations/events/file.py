"""CloudEvents as lines of a file."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import BinaryIO

from integrations import files
from integrations.events import mapping
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery


class EventsFile:
    """The Destination port: one event per line, each id once.

    What a kill left half written at the end is cut off. Ids already in the file are remembered;
    a file that was replaced or shortened is read anew.
    """

    name = "events"

    def __init__(self, path: Path, source: str) -> None:
        self._path = path
        self._source = source
        self._ids: set[str] = set()
        self._end = 0
        self._inode = 0

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Append the event unless it is there. Raise DestinationDown, DestinationRefused."""
        line = mapping.event(delivery.payload, self._source) + b"\n"
        identity = str(delivery.payload["eventId"])
        await files.on_disk(self.name, lambda: self._append(identity, line))
        return {"id": identity, "file": self._path.name}

    async def close(self) -> None:
        """Hold nothing open."""

    def _append(self, identity: str, line: bytes) -> None:
        with (
            files.locked(self._path.parent, f".{self._path.name}.lock"),
            _opened(self._path) as file,
        ):
            self._catch_up(file)
            if identity in self._ids:
                return
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self._ids.add(identity)
            self._end = file.tell()

    def _catch_up(self, file: BinaryIO) -> None:
        """Read what others appended; stand at the end of the last whole line."""
        state = os.fstat(file.fileno())
        if state.st_ino != self._inode or state.st_size < self._end:
            self._ids, self._end, self._inode = set(), 0, state.st_ino
        file.seek(self._end)
        for line in file:
            if not line.endswith(b"\n"):
                break
            self._ids.add(_id_of(line, self._path))
            self._end += len(line)
        file.truncate(self._end)
        file.seek(self._end)


def _opened(path: Path) -> BinaryIO:
    if not path.exists():
        path.touch()
        files.sync_folder(path.parent)
    return path.open("r+b")


def _id_of(line: bytes, path: Path) -> str:
    try:
        return str(json.loads(line)["id"])
    except (ValueError, KeyError, TypeError) as exc:
        raise errors.DestinationRefused("A line is no event.", file=path) from exc
