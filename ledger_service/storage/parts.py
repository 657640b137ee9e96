"""The parts of a copy: gzip files of JSON lines, whose size, number and SHA-256 the manifest tells.

Nothing in them is believed before it was measured: not how far they unpack, not how long a line is.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field

from ledger_service.domain.backup_errors import BackupDamaged
from ledger_service.storage.named import is_key

ROWS_AT_ONCE = 200
READ_BYTES = 1024 * 1024
MAX_LINE_BYTES = 256 * 1024 * 1024  #: an announcement holds an envelope and a document
LEVEL = 6

Kind = Literal["bytes", "time", "json", "text", "integer", "boolean"]
KINDS: frozenset[str] = frozenset(get_args(Kind))
Word = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]{0,62}$")]


class Part(BaseModel):
    """One file. `size`: bytes of its lines, unpacked; `sha256`: of the file as it lies there."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Word
    rows: Annotated[int, Field(ge=0, strict=True)]
    size: Annotated[int, Field(ge=0, strict=True)]
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    columns: dict[Word, Kind]

    @property
    def file(self) -> str:
        """Return the name of its file."""
        return f"{self.name}.jsonl.gz"


class PartWriter:
    """Writes the file of a part."""

    def __init__(self, folder: Path, name: str, columns: dict[str, Kind]) -> None:
        self._name = name
        self._columns = columns
        self._file = _Hashed((folder / f"{name}.jsonl.gz").open("xb"))
        self._gzip = gzip.GzipFile("", "wb", LEVEL, self._file, mtime=0)
        self._rows = self._size = 0

    def write(self, rows: Iterable[list[Any]]) -> None:
        """Append rows: values in the order of the columns, fit for JSON."""
        for row in rows:
            line = json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
            self._gzip.write(line)
            self._rows += 1
            self._size += len(line)

    def close(self) -> Part:
        """Bring it to the disk; return what the manifest tells of it."""
        self._gzip.close()
        self._file.close()
        return Part(
            name=self._name,
            rows=self._rows,
            size=self._size,
            sha256=self._file.sha256.hexdigest(),
            columns=self._columns,
        )


class _Hashed:
    """A file that is hashed as it is written, and fsynced when it is closed."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def write(self, data: bytes) -> int:
        """Append."""
        self.sha256.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        """Leave it to the end."""

    def close(self) -> None:
        """Bring it to the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()


def opened(path: Path) -> BinaryIO:
    """Open a plain file to read; a link is not followed. Raise OSError."""
    return os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb")


def check(folder: Path, part: Part) -> None:
    """Raise BackupDamaged unless the file has the SHA-256, and holds what it should."""
    digest = hashlib.sha256()
    try:
        with opened(folder / part.file) as file:
            while data := file.read(READ_BYTES):
                digest.update(data)
    except OSError as exc:
        raise BackupDamaged("A part cannot be read.", part=part.file, cause=exc) from exc
    if digest.hexdigest() != part.sha256:
        raise BackupDamaged("A part is not the one that the manifest tells.", part=part.file)
    for _ in read(folder, part):
        pass


def read(folder: Path, part: Part) -> Iterator[list[list[Any]]]:
    """Yield the rows, some hundred at once; never more bytes than the manifest tells."""
    try:
        with opened(folder / part.file) as file, gzip.GzipFile(fileobj=file) as lines:
            yield from _batches(lines, part)
    except (OSError, EOFError, zlib.error, ValueError) as exc:
        raise BackupDamaged("A part cannot be unpacked.", part=part.file, cause=exc) from exc


def checked_object(row: list[Any]) -> tuple[str, int]:
    """Return key and size of a line of the list of objects. Raise BackupDamaged."""
    key, size = row
    if not is_key(key) or type(size) is not int or size < 0:
        raise BackupDamaged("Not an object of ours.", found=repr(row)[:120])
    return key, size


def _batches(lines: gzip.GzipFile, part: Part) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    rows = size = 0
    while line := lines.readline(min(MAX_LINE_BYTES, part.size - size) + 1):
        size += len(line)
        rows += 1
        row = json.loads(line) if line.endswith(b"\n") and size <= part.size else None
        if not isinstance(row, list) or len(row) != len(part.columns):
            raise BackupDamaged("A line is no row, or there is more than told.", part=part.file)
        batch.append(row)
        if len(batch) == ROWS_AT_ONCE:
            yield batch
            batch = []
    if (rows, size) != (part.rows, part.size):
        raise BackupDamaged("Rows are missing.", part=part.file, found=rows, expected=part.rows)
    yield batch
