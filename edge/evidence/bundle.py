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

from ledger_service.domain import dsse, errors, ids, statement
from ledger_service.domain.statement import Statement

ENVELOPE = "envelope.json"
FILES = "files/"
MAX_ENVELOPE = 2 * 1024 * 1024
READ_BYTES = 256 * 1024
LINK_MODE, TYPE_MASK = 0o120000, 0o170000


@dataclass(frozen=True, slots=True)
class Bundle:
    """An opened bundle: the envelope's bytes, what it claims, and the archive."""

    envelope: bytes
    evidence: ids.EvidenceId
    claim: Statement
    archive: zipfile.ZipFile

    def chunks(self, path: str) -> Iterator[bytes]:
        """Yield a file's bytes."""
        with self.archive.open(FILES + path) as file:
            while data := file.read(READ_BYTES):
                yield data


def write(target: Path, envelope: bytes, folder: Path, claim: Statement) -> None:
    """Write a bundle, visible only when it is whole and durable."""
    fresh = target.with_name(target.name + ".part")
    with fresh.open("wb") as raw:
        with zipfile.ZipFile(raw, "w", zipfile.ZIP_STORED) as archive:
            archive.writestr(ENVELOPE, envelope)
            for entry in claim.entries:
                archive.write(folder / entry.path, FILES + entry.path)
        raw.flush()
        os.fsync(raw.fileno())
    fresh.replace(target)


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
    return archive.read(info)


def _check(names: dict[str, zipfile.ZipInfo], claim: Statement) -> None:
    expected = {FILES + entry.path: entry for entry in claim.entries}
    if missing := expected.keys() - names.keys():
        raise errors.MissingFile(found=sorted(missing)[:3])
    for name, info in names.items():
        if name not in expected:
            raise errors.ExtraFile(found=repr(name[:80]))
        if info.compress_type != zipfile.ZIP_STORED:
            raise errors.UnsupportedMedia("Bundles are not compressed.", found=name)
        if info.external_attr >> 16 & TYPE_MASK == LINK_MODE:
            raise errors.UnsafePath("A symbolic link.", found=repr(name))
        if info.file_size != expected[name].size:
            raise errors.DigestMismatch(
                "The size differs.", path=name, found=info.file_size, expected=expected[name].size
            )
