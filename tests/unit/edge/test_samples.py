from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from edge.detectors import samples
from ledger_service.domain import errors
from ledger_service.domain.profile import Input

SHAPE = Input(
    media_type="text/csv",
    columns=("b", "a"),
    units=("1", "1"),
    period_seconds=1,
    min_rows=2,
    max_rows=4,
)


def test_columns_are_found_by_name_whatever_stands_beside_them() -> None:
    found = samples.read(b"time,a,b,label\nx,1,2,\ny,3,4,ok\n", SHAPE)

    assert found.dtype == np.float32
    assert found.tolist() == [[2, 1], [4, 3]]


@pytest.mark.parametrize("text", ["a,b\r\n1,2\r\n3,4\r\n", "a,b\n1,2\n3,4", "a,b\n 1,2e0\n3,4\n"])
def test_line_ends_of_other_systems_and_a_missing_last_one_are_read(text: str) -> None:
    assert samples.read(text.encode(), SHAPE).tolist() == [[2, 1], [4, 3]]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"a,b\n1,nan\n3,4\n", "NaN or infinity. (line 2)"),
        (b"a,b\n1,2\n3,-inf\n", "NaN or infinity. (line 3)"),
        (b"a,b\n1,2\n3,1e999\n", "NaN or infinity. (line 3)"),
        (b"a,b\n1,2\n3,1e39\n", "NaN or infinity. (line 3)"),
        (b"a,b\n1,2\n3\n", "Not as wide as the header. (line 3, found 1 cells, expected 2)"),
        (b"a,b\n1,2,9\n3,4\n", "Not as wide as the header. (line 2, found more cells, expected 2)"),
        (b"a,b\n1,2\n\n3,4\n", "Not as wide as the header. (line 3"),
        (b"a,b\n1,2\n3,\n", "Not a number. (line 3)"),
        (b"a,b\n1,1_000\n3,4\n", "Not a number. (line 2)"),
        (b"a,b\n1,0x1\n3,4\n", "Not a number. (line 2)"),
        (b"a,c\n1,2\n3,4\n", "Columns missing, or there twice."),
        (b"a,b,b\n1,2,2\n3,4,4\n", "Columns missing, or there twice."),
        (b"a;b\n1;2\n3;4\n", "Columns missing, or there twice."),
        (b"a,b\n1,2\n", "Wrong number of rows. (found 1, expected 2 to 4)"),
        (b"a,b\n" + b"1,2\n" * 5, "Wrong number of rows. (found 5, expected 2 to 4)"),
        (b"", "Wrong number of rows. (found 0, expected 2 to 4)"),
        (b"a,b\n1,2\n3,\xff\n", "Not UTF-8 text."),
        (b"\x1f\x8b\x08\x00\n\n\n", "Not UTF-8 text."),
        (b"," * 5_000 + b"\n1\n2\n", "Too many columns."),
    ],
)
def test_what_cannot_be_scored_is_refused_by_name(data: bytes, why: str) -> None:
    with pytest.raises(errors.BadSample) as caught:
        samples.read(data, SHAPE)

    assert why in str(caught.value)


def test_a_file_over_the_limit_is_refused_before_it_is_read() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return samples.MAX_BYTES + 1

    with pytest.raises(errors.TooLarge):
        samples.read(Huge(), SHAPE)


@pytest.mark.parametrize(
    "data",
    [b"\n" * 2_000_000, b"a,b\n" + b"," * 2_000_000 + b"\n3,4\n", b"," * 2_000_000 + b"\n\n\n"],
)
def test_a_file_of_separators_alone_costs_no_more_than_its_bytes(data: bytes) -> None:
    tracemalloc.start()
    with pytest.raises(errors.BadSample):
        samples.read(data, SHAPE)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()

    assert peak < 5 * len(data)
