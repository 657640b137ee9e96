"""Recordings that lie in a folder: which datasets are there, and which columns a detector can read.

Each sub-folder is a dataset, and so is each table beside them. A table (CSV, may be gzipped) with a
column `session` holds one dataset per session; it is taken apart into files first. Recordings known
as nominal, by their name or by a column that says so, are what a detector is commissioned on.
"""

from __future__ import annotations

import csv
import gzip
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Literal

import numpy as np

from ledger_service.domain import errors

Separator = Literal[",", ";", "\t"]
SEPARATORS: tuple[Separator, ...] = (",", ";", "\t")
TABLES = (".csv", ".tsv", ".txt")
SESSION = "session"
SAID = ("condition", "state", "label")
LABELS = frozenset(
    {*SAID, SESSION, "anomaly", "changepoint", "class", "fault", "is_anomaly", "labels", "target"}
)
NOMINAL = re.compile(r"(^|[^a-z])(anomaly-free|baseline|good|healthy|nominal|normal)($|[^a-z])")
TIME = re.compile(r"time|date|stamp", re.IGNORECASE)
MIN_ROWS = 80
MIN_SIGNALS = 2
MAX_TABLE = 256 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Recording:
    """A dataset: all files of `folder`, or `file` alone; the detector reads `table`.

    `signals`: names of the columns that hold measurements; `rows`: number of samples.
    """

    name: str
    folder: Path
    file: Path | None
    table: Path
    separator: Separator
    signals: tuple[str, ...]
    rows: int
    nominal: bool


@dataclass(frozen=True, slots=True)
class Found:
    """What a folder holds. `left_out`: name -> why it is no recording."""

    recordings: Sequence[Recording]
    left_out: dict[str, str]


class _Unfit(Exception):
    """It is no recording; the message says why."""


def find(source: Path, scratch: Path) -> Found:
    """Look through a folder; sessions of one table are written to files below `scratch`.

    Raise NotFound, EmptyDataset.
    """
    if not source.is_dir():
        raise errors.NotFound("No such folder of datasets.", found=source)
    recordings: list[Recording] = []
    left_out: dict[str, str] = {}
    for name, folder, file in _candidates(source, scratch):
        try:
            recordings.append(_recognise(name, folder, file))
        except _Unfit as exc:
            left_out[name] = str(exc)
    if not recordings:
        raise errors.EmptyDataset("Nothing to score in this folder.", found=source, why=left_out)
    return Found(recordings, left_out)


def common_signals(recordings: Sequence[Recording]) -> tuple[str, ...]:
    """Return the measurements that all of them have, in the first one's order."""
    shared = set.intersection(*(set(recording.signals) for recording in recordings))
    return tuple(name for name in recordings[0].signals if name in shared)


def _candidates(source: Path, scratch: Path) -> Iterator[tuple[str, Path, Path | None]]:
    """Yield (name, folder, file): a file alone, or a folder as a whole."""
    for path in sorted(source.iterdir(), key=_natural):
        if path.is_symlink() or path.name.startswith("."):
            continue
        if path.is_dir():
            yield path.name, path, None
        elif path.is_file():
            pieces = list(_sessions(path, scratch))
            for piece in pieces:
                yield piece.stem, piece.parent, piece
            if not pieces:
                yield path.stem, source, path


def _natural(path: Path) -> list[tuple[int, str]]:
    """Sort 2.csv before 10.csv."""
    parts: list[str] = re.findall(r"\d+|\D+", path.name)
    return [(int(part), "") if part.isdigit() else (-1, part) for part in parts]


def _sessions(path: Path, scratch: Path) -> Iterator[Path]:
    """Take a table of several sessions apart: one file each, lines untouched.

    A table with a line or two per session is an index of them, and left as it is.
    """
    if not path.name.removesuffix(".gz").endswith(TABLES):
        return
    header, *lines = _lines(path)
    names = header.rstrip("\r\n").split(",")
    if SESSION not in names:
        return
    place = names.index(SESSION)
    pieces = {
        session: list(group)
        for session, group in groupby(lines, key=lambda line: line.split(",")[place])
    }
    if len(lines) < MIN_ROWS * len(pieces):
        return
    scratch.mkdir(parents=True, exist_ok=True)
    for session, group in pieces.items():
        piece = scratch / f"{slug(session)}.csv"
        piece.write_text(header + "".join(group), encoding="utf-8", newline="")
        yield piece


def slug(text: str) -> str:
    """Return a name that may stand in ids: small letters, digits, hyphens."""
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:60] or "unnamed"


def _lines(path: Path) -> list[str]:
    """Return the lines of a table, unpacked up to the limit: more is not worth looking at."""
    with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
        data = (unpacked if path.suffix == ".gz" else raw).read(MAX_TABLE)
    return data.decode("utf-8", "replace").splitlines(keepends=True) or [""]


def _recognise(name: str, folder: Path, file: Path | None) -> Recording:
    """Find the table and its measurements. Raise _Unfit, saying why there is none."""
    table = file or _largest_table(folder)
    if not table.name.endswith(TABLES):
        raise _Unfit("not a table (CSV)")
    if table.stat().st_size > MAX_TABLE:
        raise _Unfit("larger than 256 MiB")
    text = table.read_text(encoding="utf-8", errors="replace")
    header = text.split("\n", 1)[0]
    separator = max(SEPARATORS, key=header.count)
    names, *rows = csv.reader(text.splitlines(), delimiter=separator)
    if len(rows) < MIN_ROWS:
        raise _Unfit(f"{len(rows)} rows, expected at least {MIN_ROWS}")
    if any(len(row) != len(names) for row in rows):
        raise _Unfit("rows of different widths")
    columns = dict(zip(names, zip(*rows, strict=True), strict=True))
    signals = tuple(name for name, cells in columns.items() if _is_signal(name, cells))
    if len(signals) < MIN_SIGNALS:
        raise _Unfit(f"{len(signals)} columns with measurements, expected at least {MIN_SIGNALS}")
    nominal = bool(NOMINAL.search(name.lower())) or _says_nominal(columns)
    return Recording(name, folder, file, table, separator, signals, len(rows), nominal)


def _largest_table(folder: Path) -> Path:
    tables = [path for path in folder.rglob("*") if path.is_file() and path.name.endswith(TABLES)]
    if not tables:
        raise _Unfit("no table (CSV) in it")
    return max(tables, key=lambda path: (path.stat().st_size, path.name))


def _is_signal(name: str, cells: Sequence[str]) -> bool:
    """Say whether a column measures something: numbers that are no label, no clock, no counter."""
    if name.lower() in LABELS or TIME.search(name) or not name.strip():
        return False
    try:
        values = np.array(cells, dtype=np.float64)
    except ValueError:
        return False
    counts = len(values) > 1 and bool(np.all(np.diff(values) > 0))
    return bool(np.isfinite(values).all()) and not counts


def _says_nominal(columns: dict[str, tuple[str, ...]]) -> bool:
    return any(
        set(columns[name]) and all(NOMINAL.search(cell.lower()) for cell in set(columns[name]))
        for name in SAID
        if name in columns
    )
