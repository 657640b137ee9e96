"""The journal: one JSON object a line, fsynced before anything leaves. A torn last line is cut off.

Lines that nothing follows from yet may wait for their fsync: the next durable line, or `sync`, takes
them along. One that failed with such lines waiting cannot be repeated (the system may have dropped
them, and tells of it once), so from then on nothing is written: a restart reads what is really there.
"""

from __future__ import annotations

import errno
import fcntl
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ledger_service.domain import errors

FILE_NAME = "journal.jsonl"
TAIL_BYTES = 64 * 1024


class Journal:
    """Append-only file of one agent. One process writes; anybody with access may read."""

    def __init__(self, folder: Path, fsync: Callable[[int], None] = os.fsync) -> None:
        """Open for writing. Raise InUse if another process does. `fsync` makes a descriptor durable."""
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        path = folder / FILE_NAME
        self._file = path.open(
            "ab", buffering=0
        )  # what failed to be written must not stay anywhere
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            self._file.close()
            raise errors.InUse("Another agent runs in this folder.", folder=folder) from exc
        self._make_durable = fsync
        self._fsyncing = threading.Lock()
        self._whole = _whole_length(path)
        self._torn = self._whole < path.stat().st_size
        self.lost = False
        self.lines, self.durable = 0, 0  # since it was opened
        self._mend()
        os.fsync(self._file.fileno())  # a process before us may have been killed before it did
        _sync_folder(folder)

    def read(self) -> Iterator[dict[str, Any]]:
        """Yield all entries again. Raise BrokenLog."""
        return read(self._folder)

    def write(self, entry: dict[str, Any], *, durable: bool = True) -> None:
        """Append an entry; durable when it returns, or later. A crash leaves the whole of it or nothing.

        Raise StorageError: then nothing of it is there, and nothing of it comes later.
        """
        self._demand_whole()
        data = json.dumps(entry, separators=(",", ":")).encode() + b"\n"
        try:
            self._mend()
            self._torn = True
            self._append(data)
            if durable:
                self._fsync()
        except OSError as exc:
            with suppress(OSError):  # the next write, or the next start, mends it
                self._mend()
            raise errors.StorageError(f"The journal cannot be written: {exc}") from exc
        self._torn = False
        self._whole += len(data)
        self.lines += 1
        if durable:
            self.durable = self.lines

    def sync(self) -> None:
        """Make durable what was appended so far. Another thread may append meanwhile. Raise StorageError."""
        self._demand_whole()
        upto = self.lines
        try:
            self._fsync()
        except OSError as exc:
            raise errors.StorageError(f"The journal cannot be made durable: {exc}") from exc
        self.durable = max(self.durable, upto)

    def _append(self, data: bytes) -> None:
        left = memoryview(data)
        while left:
            left = left[self._file.write(left) :]

    def _fsync(self) -> None:
        """Fsync, one thread at a time: an error is told to whoever asks first, and means them all."""
        with self._fsyncing:
            waiting = self.lines > self.durable
            try:
                self._make_durable(self._file.fileno())
            except OSError:
                self.lost = self.lost or waiting
                raise
            if self.lost:
                raise OSError(errno.EIO, "lines were lost before")

    def _demand_whole(self) -> None:
        if self.lost:
            raise errors.StorageError("The journal lost lines; start the agent again.")

    def _mend(self) -> None:
        """Cut off what is no whole line."""
        if self._torn:
            self._file.truncate(self._whole)
            self._fsync()
            self._torn = False

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def read(folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the whole lines of a folder's journal. Raise BrokenLog for one that is no JSON object."""
    path = folder / FILE_NAME
    if not path.exists():
        return
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.endswith(b"\n"):
                return  # torn by a crash: it was never acted upon
            try:
                entry = json.loads(line)
            except ValueError as exc:
                raise errors.BrokenLog(file=path, line=number) from exc
            if not isinstance(entry, dict):
                raise errors.BrokenLog(file=path, line=number)
            yield entry


def is_open(folder: Path) -> bool:
    """Say whether an agent writes in this folder now."""
    path = folder / FILE_NAME
    if not path.exists():
        return False
    with path.open("rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def _whole_length(path: Path) -> int:
    """Return the length up to the last end of a line, read from the end."""
    with path.open("rb") as file:
        end = file.seek(0, os.SEEK_END)
        while end:
            start = max(0, end - TAIL_BYTES)
            file.seek(start)
            found = file.read(end - start).rfind(b"\n")
            if found >= 0:
                return start + found + 1
            end = start
    return 0


def _sync_folder(folder: Path) -> None:
    """Make the file's name durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
