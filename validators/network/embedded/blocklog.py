"""An append-only log of records, each whole or not there.

Record: 4 bytes length (big-endian), 4 bytes CRC-32 of those, 32 bytes SHA-256 of the payload, the
payload. `append` returns after fsync. A kill, or a power cut, in the middle of an append leaves a
torn tail: a part of the last record, or zeros that the file system put there. It is cut off when
the log is opened, and the caller is told how much. Damage anywhere else is not guessed at: the log
refuses to open (BrokenLog).
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

from ledger_service.domain import errors
from validators.network.files import sync_folder

_HEAD = struct.Struct(">II32s")
_LENGTH = struct.Struct(">I")


class BlockLog:
    """The open log. `cut` is the number of bytes of a torn tail that were cut when it was opened."""

    def __init__(self, path: Path) -> None:
        created = not path.exists()
        self._path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        if created:
            sync_folder(path.parent)
        self.cut = 0
        self._end = 0

    def records(self) -> Iterator[bytes]:
        """Yield the payloads from the first on, then cut a torn tail. To be read to its end once.

        Raise BrokenLog where a damaged record is not the last thing in the file.
        """
        size = os.fstat(self._file).st_size
        while self._end < size:
            payload = self._read(self._end, size)
            if payload is None:
                self._cut(size)
                return
            self._end += _HEAD.size + len(payload)
            yield payload

    def append(self, payload: bytes) -> None:
        """Add a record; it is durable on return. On an error the log is as it was before."""
        length = _LENGTH.pack(len(payload))
        head = _HEAD.pack(len(payload), zlib.crc32(length), hashlib.sha256(payload).digest())
        record = head + payload
        try:
            if os.pwrite(self._file, record, self._end) != len(record):
                raise errors.StorageError("The disk took only a part.", file=self._path)
            os.fsync(self._file)
        except OSError as exc:
            with contextlib.suppress(
                OSError
            ):  # what is left is a torn tail, and cut at the next start
                os.ftruncate(self._file, self._end)
            raise errors.StorageError(str(exc), file=self._path) from exc
        self._end += len(record)

    def close(self) -> None:
        """Close the file; every appended record is already on disk."""
        os.close(self._file)

    def _read(self, start: int, size: int) -> bytes | None:
        """Return the payload that starts there, or None if only a torn tail does."""
        head = os.pread(self._file, _HEAD.size, start)
        if len(head) < _HEAD.size:
            return None
        length, check, digest = _HEAD.unpack(head)
        if zlib.crc32(_LENGTH.pack(length)) != check:
            if self._only_zeros(start, size):
                return None
            raise errors.BrokenLog("A record's head is damaged.", file=self._path, offset=start)
        payload = os.pread(self._file, length, start + _HEAD.size)
        if hashlib.sha256(payload).digest() == digest and len(payload) == length:
            return payload
        if start + _HEAD.size + length >= size:
            return None
        raise errors.BrokenLog("A record is damaged.", file=self._path, offset=start)

    def _only_zeros(self, start: int, size: int) -> bool:
        return not any(os.pread(self._file, size - start, start))

    def _cut(self, size: int) -> None:
        self.cut = size - self._end
        os.ftruncate(self._file, self._end)
        os.fsync(self._file)
