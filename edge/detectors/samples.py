"""Reading samples strictly: what cannot be scored is refused, never guessed at.

Sizes are checked before anything is taken apart, so that a file of line ends or separators alone
costs no more memory than its bytes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger_service.domain import errors
from ledger_service.domain.profile import Input

MAX_BYTES = 256 * 1024 * 1024
MAX_COLUMNS = 4096


def read(data: bytes, expected: Input) -> NDArray[np.float32]:
    """Return the samples, shape (rows, columns), float32. Raise BadSample, TooLarge."""
    if len(data) > MAX_BYTES:
        raise errors.TooLarge("The detector's input.", expected=f"at most {MAX_BYTES} bytes")
    _check_count(count_rows(data), expected)
    try:
        header, *lines = data.decode("utf-8").removesuffix("\n").split("\n")
    except UnicodeDecodeError as exc:
        raise errors.BadSample("Not UTF-8 text.") from exc
    names = _names(header, expected)
    places = _places(names, expected)
    wide = np.array(
        [_row(line, at, len(names), places, expected) for at, line in enumerate(lines, 2)]
    )
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is refused
        rows = wide.astype(np.float32)
    if not np.isfinite(rows).all():
        raise errors.BadSample(
            "NaN or infinity.", line=int(np.argwhere(~np.isfinite(rows))[0][0]) + 2
        )
    return rows


def count_rows(data: bytes) -> int:
    """Return how many lines stand below the header; the last one may lack its end."""
    return max(data.count(b"\n") - data.endswith(b"\n"), 0)


def _check_count(found: int, expected: Input) -> None:
    if not expected.min_rows <= found <= expected.max_rows:
        raise errors.BadSample(
            "Wrong number of rows.",
            found=found,
            expected=f"{expected.min_rows} to {expected.max_rows}",
        )


def _names(header: str, expected: Input) -> list[str]:
    names = header.removesuffix("\r").split(expected.separator, MAX_COLUMNS)
    if len(names) > MAX_COLUMNS:
        raise errors.BadSample("Too many columns.", expected=f"at most {MAX_COLUMNS}")
    return names


def _places(names: list[str], expected: Input) -> list[int]:
    """Return where the columns are; each must be there once."""
    missing = [name for name in expected.columns if names.count(name) != 1]
    if missing:
        found = [name[:40] for name in names[:8]]
        raise errors.BadSample(
            "Columns missing, or there twice.", found=found, expected=missing[:8]
        )
    return [names.index(name) for name in expected.columns]


def _row(line: str, number: int, width: int, places: list[int], expected: Input) -> list[float]:
    cells = line.removesuffix("\r").split(expected.separator, width)
    if len(cells) != width:
        found = f"{len(cells)} cells" if len(cells) < width else "more cells"
        raise errors.BadSample(
            "Not as wide as the header.", line=number, found=found, expected=width
        )
    try:
        return [_number(cells[place]) for place in places]
    except ValueError as exc:
        raise errors.BadSample("Not a number.", line=number) from exc


def _number(cell: str) -> float:
    if "_" in cell:  # Python reads 1_000, nobody else does
        raise ValueError(cell)
    return float(cell)
