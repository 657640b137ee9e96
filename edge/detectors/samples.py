"""Reading samples strictly: what cannot be scored is refused, never guessed at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ledger_service.domain import errors
from ledger_service.domain.profile import Input

MAX_BYTES = 256 * 1024 * 1024


def read(data: bytes, expected: Input) -> NDArray[np.float32]:
    """Return the samples, shape (rows, columns), float32. Raise BadSample, TooLarge."""
    if len(data) > MAX_BYTES:
        raise errors.TooLarge("The detector's input.", expected=f"at most {MAX_BYTES} bytes")
    try:
        header, *lines = data.decode("utf-8").splitlines()
    except (UnicodeDecodeError, ValueError) as exc:
        raise errors.BadSample("Not UTF-8 text with a header line.") from exc
    places = _places(header.split(expected.separator), expected)
    if not expected.min_rows <= len(lines) <= expected.max_rows:
        raise errors.BadSample(
            "Wrong number of rows.",
            found=len(lines),
            expected=f"{expected.min_rows} to {expected.max_rows}",
        )
    rows = np.array(
        [_row(line, at, places, expected) for at, line in enumerate(lines, 2)], np.float32
    )
    if not np.isfinite(rows).all():
        raise errors.BadSample(
            "NaN or infinity.", line=int(np.argwhere(~np.isfinite(rows))[0][0]) + 2
        )
    return rows


def _places(names: list[str], expected: Input) -> list[int]:
    """Return where the columns are; each must be there once."""
    missing = [name for name in expected.columns if names.count(name) != 1]
    if missing:
        raise errors.BadSample(
            "Columns missing, or there twice.", found=names[:8], expected=missing[:8]
        )
    return [names.index(name) for name in expected.columns]


def _row(line: str, number: int, places: list[int], expected: Input) -> list[float]:
    cells = line.split(expected.separator)
    if len(cells) <= max(places):
        raise errors.BadSample(
            line=number, found=f"{len(cells)} cells", expected=f"at least {max(places) + 1}"
        )
    try:
        return [float(cells[place]) for place in places]
    except ValueError as exc:
        raise errors.BadSample("Not a number.", line=number) from exc
