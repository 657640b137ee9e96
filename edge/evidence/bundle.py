"""A bundle: one `.evidence` file (ZIP, stored, never compressed) with envelope.json and files/.

Read back it is hostile until proven otherwise: names, sizes and methods are checked before a byte
is used, against the statement inside.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from zipfile import ZipInfo

from ledger_service.domain import dsse, errors, ids, statement
from ledger_service.domain.dataset import Entry, FileHasher
from ledger_service.domain.statement import Statement

ENVELOPE = "envelope.json"
FILES = "files/"
MAX_ENVELOPE = 2 * 1024 * 1024
READ_BYTES = 256 * 1024
LINK_MODE, TYPE_MASK = 0o120000, 0o170000
ENCRYPTED = 1
SMALL_FILE = 1 << 30


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: the envelope's bytes, what it claims, and the archive."""

    envelope: bytes
    evidence: ids.EvidenceId
    claim: Statement
    archive: zipfile.ZipFile

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes. Raise DigestMismatch where the archive is damaged."""
        try:
            with self.archive.open(FILES + path) as file:
                while data := file.read(READ_BYTES):
                    yield data
        except (zipfile.BadZipFile, EOFError) as exc:
            raise errors.DigestMismatch(f"The bundle is damaged: {exc}", path=path) from exc


def write(target: Path, envelope: bytes, folder: Path, claim: Statement) -> None:
    """Write a bundle, visible only when it is whole and durable.

    Raise DigestMismatch, and leave nothing, if a file changed since it was hashed.
    """
    fresh = target.with_name(target.name + ".part")
    try:
        with fresh.open("wb") as raw:
            with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
                archive.writestr(ZipInfo(ENVELOPE), envelope)
                for entry in claim.entries:
                    _copy(folder, entry, archive)
            raw.flush()
            os.fsync(raw.fileno())
        fresh.replace(target)
    finally:
        fresh.unlink(missing_ok=True)


def _copy(folder: Path, entry: Entry, archive: zipfile.ZipFile) -> None:
    """Copy a file in, hashing what is really copied. No time stamps: the same files, the same bytes."""
    hasher = FileHasher(entry.chunk)
    place = ZipInfo(FILES + entry.path)
    with (
        (folder / entry.path).open("rb") as source,
        archive.open(place, "w", force_zip64=entry.size >= SMALL_FILE) as target,
    ):
        while data := source.read(READ_BYTES):
            hasher.update(data)
            target.write(data)
            if hasher.size > entry.size:
                break
    if hasher.size != entry.size or hasher.root() != entry.root:
        raise errors.DigestMismatch("It changed while it was packed.", path=entry.path)


@contextmanager
def read(source: Path) -> Iterator[Bundle]:
    """Open a bundle. Raise InvalidEvidence of the kind that is wrong, NotFound."""
    try:
        archive = zipfile.ZipFile(source)
    except FileNotFoundError as exc:
        raise errors.NotFound("No such bundle.", found=source) from exc
    except (OSError, zipfile.BadZipFile) as exc:
        raise errors.UnknownField("Not a bundle (ZIP).", found=source) from exc
    with archive:
        names = {info.filename: info for info in archive.infolist()}
        if len(names) != len(archive.infolist()):
            raise errors.DuplicatePath("In the bundle.", found=source)
        envelope = _envelope(archive, names)
        payload = dsse.loads(envelope).payload
        claim = statement.loads(payload)
        _check(names, claim)
        yield Bundle(envelope, statement.evidence_id(payload), claim, archive)


def _envelope(archive: zipfile.ZipFile, names: dict[str, zipfile.ZipInfo]) -> bytes:
    info = names.pop(ENVELOPE, None)
    if info is None:
        raise errors.MissingFile(found=ENVELOPE)
    if info.file_size > MAX_ENVELOPE:
        raise errors.TooLarge("The envelope.", found=info.file_size)
    _check_plain(info)
    try:
        return archive.read(info)
    except (zipfile.BadZipFile, EOFError) as exc:
        raise errors.DigestMismatch(f"The bundle is damaged: {exc}", path=ENVELOPE) from exc


def _check(names: dict[str, zipfile.ZipInfo], claim: Statement) -> None:
    expected = {FILES + entry.path: entry for entry in claim.entries}
    if missing := expected.keys() - names.keys():
        raise errors.MissingFile(found=sorted(missing)[:3])
    for name, info in names.items():
        if name not in expected:
            raise errors.ExtraFile(found=repr(name[:80]))
        _check_plain(info)
        if info.file_size != expected[name].size:
            raise errors.DigestMismatch(
                "The size differs.", path=name, found=info.file_size, expected=expected[name].size
            )


def _check_plain(info: ZipInfo) -> None:
    if info.compress_type != zipfile.ZIP_STORED or info.flag_bits & ENCRYPTED:
        raise errors.UnsupportedMedia(
            "Bundles are neither compressed nor encrypted.", found=info.filename
        )
    if info.external_attr >> 16 & TYPE_MASK == LINK_MODE:
        raise errors.UnsafePath("A symbolic link.", found=repr(info.filename))
