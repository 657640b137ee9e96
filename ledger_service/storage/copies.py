"""Copies of a service in a folder: each is there whole, or not at all.

    FOLDER/objects/KEY                       the objects of all copies, each once
    FOLDER/STAMP-DIGEST/manifest.json        what it is a copy of, and the SHA-256 of each part
    FOLDER/STAMP-DIGEST/TABLE.jsonl.gz       the rows of a table, a JSON array each
    FOLDER/STAMP-DIGEST/_objects.jsonl.gz    key and size of each object that the rows name

DIGEST begins the SHA-256 of the manifest, so a copy's name vouches for all of it.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ledger_service.domain import errors
from ledger_service.domain.backup_errors import BackupDamaged
from ledger_service.storage import parts
from ledger_service.storage.objects import make_folder, sync
from ledger_service.storage.parts import Part, PartWriter

FORMAT: Literal[1] = 1
MANIFEST = "manifest.json"
MAX_MANIFEST_BYTES = 1024 * 1024
DIGEST_DIGITS = 32
STAMP = "%Y%m%dT%H%M%S%fZ"
OBJECTS = "_objects"
LOCK = ".lock"
_UNFINISHED = ".making-"
_NAME = re.compile(rf"\d{{8}}T\d{{12}}Z-[0-9a-f]{{{DIGEST_DIGITS}}}")

Hex32 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Address = Annotated[str, Field(pattern=r"^0x[0-9a-fA-F]{40}$")]
Count = Annotated[int, Field(ge=0, strict=True)]


class _Told(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ChainIdentity(_Told):
    """Which chain and which contracts the rows speak of."""

    chainId: Count  # noqa: N815  as deployment.json has it
    genesis: Hex32
    consortium: Address
    orders: Address


class Reached(_Told):
    """The last block whose facts are in the copy."""

    number: Count
    hash: Hex32


class Manifest(_Told):
    """What a copy is of. `schema_`: the revision of its tables; `missing`: objects it lacks, told."""

    format: Literal[1] = FORMAT
    made_at: datetime
    program: str
    schema_: Annotated[str, Field(alias="schema", pattern=r"^[0-9A-Za-z_]{1,64}$")]
    chain: ChainIdentity
    cursor: Reached | None
    tables: tuple[Part, ...]
    objects: Part
    object_bytes: Count
    missing: tuple[str, ...] = ()

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True)

    def dumps(self) -> bytes:
        """Return the bytes of manifest.json."""
        return self.model_dump_json(by_alias=True, indent=2).encode() + b"\n"


class Copy:
    """A copy that is there whole: its manifest is the one its name tells. Raise BackupDamaged."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = _read_manifest(folder)

    @property
    def name(self) -> str:
        """Return the name of its folder."""
        return self.folder.name

    @property
    def parts(self) -> tuple[Part, ...]:
        """Return all parts, tables first."""
        return (*self.manifest.tables, self.manifest.objects)

    def check(self, part: Part) -> None:
        """Raise BackupDamaged unless the file of a part is the one that the manifest tells."""
        parts.check(self.folder, part)

    def rows(self, part: Part) -> Iterator[list[list[Any]]]:
        """Yield the rows of a part, some hundred at once. Raise BackupDamaged."""
        return parts.read(self.folder, part)

    def objects(self) -> Iterator[tuple[str, int]]:
        """Yield key and size of each object. Raise BackupDamaged."""
        for batch in self.rows(self.manifest.objects):
            yield from (parts.checked_object(row) for row in batch)


class Making:
    """A copy that is being made; nothing of it counts before `finish`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._folder = home / f"{_UNFINISHED}{uuid.uuid4().hex}"
        self._folder.mkdir()

    def part(self, name: str, columns: dict[str, parts.Kind]) -> PartWriter:
        """Begin the file of a table."""
        return PartWriter(self._folder, name, columns)

    def finish(self, manifest: Manifest) -> Copy:
        """Make it durable, then visible under its name, in one step."""
        data = manifest.dumps()
        with (self._folder / MANIFEST).open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        sync(self._folder)
        stamp = manifest.made_at.astimezone(UTC).strftime(STAMP)
        target = self._home / f"{stamp}-{_digest(data)}"
        self._folder.rename(target)
        sync(self._home)
        return Copy(target)


@contextmanager
def making(home: Path) -> Iterator[Making]:
    """Hold the folder and begin a copy in it; what is left unfinished is thrown away.

    Raise InUse while another copy is made there, StorageError for a read-only folder.
    """
    try:
        make_folder(home.resolve())
    except OSError as exc:
        raise errors.StorageError("The folder cannot be made.", found=str(exc)[:200]) from exc
    with _held(home, fcntl.LOCK_EX):
        _sweep(home)
        try:
            yield Making(home)
        finally:
            _sweep(home)


@contextmanager
def reading(home: Path, name: str = "") -> Iterator[Copy]:
    """Hold the folder and give its newest copy, or the one named.

    It may be a read-only one. Raise NotFound, BackupDamaged; InUse while a copy is made there.
    """
    names = listed(home)
    if name and name not in names:
        raise errors.NotFound("There is no such copy in this folder.", found=name[:80], folder=home)
    if not names:
        raise errors.NotFound("There is no whole copy in this folder.", folder=home)
    with _held(home, fcntl.LOCK_SH):
        yield Copy(home / (name or names[-1]))


def listed(home: Path) -> list[str]:
    """Return the names of the copies in a folder, oldest first; none if it is not there."""
    if not home.is_dir():
        return []
    found = (item for item in home.iterdir() if item.is_dir() and not item.is_symlink())
    return sorted(item.name for item in found if _NAME.fullmatch(item.name))


def _read_manifest(folder: Path) -> Manifest:
    try:
        with parts.opened(folder / MANIFEST) as file:
            data = file.read(MAX_MANIFEST_BYTES + 1)
    except OSError as exc:
        raise BackupDamaged("It has no manifest.", copy=folder.name) from exc
    if len(data) > MAX_MANIFEST_BYTES or _digest(data) != folder.name.rpartition("-")[2]:
        raise BackupDamaged("Its manifest is not the one that its name tells.", copy=folder.name)
    try:
        return Manifest.model_validate_json(data)
    except ValidationError as exc:
        text = "Its manifest is of another program, or none."
        raise BackupDamaged(text, copy=folder.name, cause=str(exc)[:200]) from exc


def _digest(manifest: bytes) -> str:
    return hashlib.sha256(manifest).hexdigest()[:DIGEST_DIGITS]


@contextmanager
def _held(home: Path, how: int) -> Iterator[None]:
    try:
        lock = _lock_file(home, how)
    except OSError as exc:
        raise errors.StorageError("The folder cannot be used.", found=str(exc)[:200]) from exc
    if lock is None:
        yield
        return
    try:
        _lock(lock, how, home)
        yield
    finally:
        os.close(lock)


def _lock(file: int, how: int, home: Path) -> None:
    try:
        fcntl.flock(file, how | fcntl.LOCK_NB)
    except OSError as exc:
        raise errors.InUse("A copy is being made or read there.", found=home) from exc


def _lock_file(home: Path, how: int) -> int | None:
    """Open the file that is held: to read if that is enough, so that the folder may be read-only.

    None for a read-only folder without one, where no copy is made. Raise OSError.
    """
    access = os.O_RDONLY if how == fcntl.LOCK_SH else os.O_RDWR
    try:
        return os.open(home / LOCK, access | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as exc:
        if how == fcntl.LOCK_SH and exc.errno == errno.EROFS:
            return None
        raise


def _sweep(home: Path) -> None:
    for left in home.glob(f"{_UNFINISHED}*"):
        shutil.rmtree(left)
