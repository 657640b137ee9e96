"""Pack: a folder becomes a statement that a device can seal."""

from __future__ import annotations

import mimetypes
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from edge.detectors.run import Detector
from edge.evidence.device import Device, Link
from ledger_service.domain import dataset, errors, ids, profile, statement
from ledger_service.domain.statement import Runtime, Statement, Window
from ledger_service.hashing import hash_file

OTHER = "application/octet-stream"


@dataclass(frozen=True, slots=True)
class Subject:
    """What is claimed: which asset, by which detector, reading which file, for a window that ends then."""

    asset: str
    detector: Detector
    input_path: str
    end: datetime


def draft(
    folder: Path,
    subject: Subject,
    device: Device,
    *,
    chunk: int = dataset.DEFAULT_CHUNK,
    progress: Callable[[int], None] = lambda _: None,
) -> Statement:
    """Hash the folder, run the detector, and word the device's next statement.

    `progress` is told bytes hashed. Raise EmptyDataset, UnsafePath (also for symbolic links),
    BadSample, MissingFile, DigestMismatch (a file changed meanwhile).
    """
    entries = tuple(_entry(folder, path, chunk, progress) for path in list_files(folder))
    root, link, detector = dataset.dataset_root(entries), device.link(), subject.detector
    samples = _input(folder, subject.input_path, entries)
    scored = detector.run(samples)
    period = detector.card.input.period_seconds
    end = subject.end.replace(microsecond=0)
    return Statement(
        asset=subject.asset,
        detector=detector.id,
        failure_mode=scored.failure_mode,
        window=Window(end - timedelta(seconds=period * scored.rows), end, period),
        input_path=subject.input_path,
        score=profile.quantity(scored.quantised),
        threshold=profile.quantity(detector.card.threshold),
        features=scored.features,
        public_key=device.public_key,
        sequence=link.sequence + 1,
        previous=link.previous,
        runtime=Runtime(*detector.engine, profile.PROFILE),
        entries=entries,
        dataset_root=root,
    )


def seal(claim: Statement, device: Device) -> tuple[ids.EvidenceId, bytes]:
    """Advance the device's chain, sign, and return evidence id and envelope bytes."""
    payload = claim.dumps()
    evidence = statement.evidence_id(payload)
    device.advance(Link(claim.sequence, evidence))
    return evidence, device.seal(payload).dumps()


def list_files(folder: Path) -> list[str]:
    """Return the relative paths of all files below a folder, sorted.

    Raise UnsafePath for links and for what is neither file nor folder, EmptyDataset, NotFound.
    """
    if not folder.is_dir():
        raise errors.NotFound("No such folder.", found=folder)
    found = []
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder).as_posix()
        if path.is_symlink():
            raise errors.UnsafePath("A symbolic link.", found=repr(relative))
        if path.is_file():
            dataset.check_path(relative)
            found.append(relative)
        elif not path.is_dir():
            raise errors.UnsafePath("Neither file nor folder.", found=repr(relative))
    if not found:
        raise errors.EmptyDataset(found=folder)
    return found


def _input(folder: Path, path: str, entries: tuple[dataset.Entry, ...]) -> bytes:
    """Return the bytes that the detector reads: those that were hashed, and no others."""
    entry = next((entry for entry in entries if entry.path == path), None)
    if entry is None:
        raise errors.MissingFile("The detector's input.", found=path)
    data = (folder / path).read_bytes()
    hasher = dataset.FileHasher(entry.chunk)
    hasher.update(data)
    if hasher.root() != entry.root:
        raise errors.DigestMismatch("It changed while it was packed.", path=path)
    return data


def _entry(folder: Path, path: str, chunk: int, progress: Callable[[int], None]) -> dataset.Entry:
    hashed = hash_file(folder / path, chunk, progress=progress)
    media_type = mimetypes.guess_type(path)[0] or OTHER
    return dataset.Entry(path, hashed.size, media_type, chunk, hashed.root)
