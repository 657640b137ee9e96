from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import canonical, errors
from tests.unit.domain.small import few

SAFE = canonical.MAX_SAFE_INTEGER
TEXT = st.text('aZ0 "\\/\0\n\x7fé\u2028\ufb01\U0001d11e[{', max_size=6)
JSON: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-SAFE, SAFE) | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)


@few
@given(JSON)
def test_what_is_written_is_read_back_and_written_the_same(value: Any) -> None:
    text = canonical.dumps(value)

    assert canonical.loads(text) == value
    assert canonical.dumps(canonical.loads(text)) == text
    assert canonical.dumps(canonical.loads(json.dumps(value, indent=2).encode())) == text


@few
@given(st.binary(max_size=40))
def test_any_bytes_are_read_or_refused_by_name(data: bytes) -> None:
    with contextlib.suppress(
        errors.FloatInHashedPlace, errors.MalformedJson, errors.IntegerTooLarge
    ):
        canonical.loads(data)


def test_names_are_sorted_by_their_utf_16_units() -> None:
    assert canonical.dumps({"\ufb01": 1, "\U0001d11e": 2, "a": 3}) == (
        '{"a":3,"\U0001d11e":2,"\ufb01":1}'.encode()
    )


@pytest.mark.parametrize("value", [1.0, 1.5, float("nan"), float("inf"), [0.0], {"a": {"b": -0.0}}])
def test_floats_are_never_written(value: Any) -> None:
    with pytest.raises(errors.FloatInHashedPlace, match="found"):
        canonical.dumps(value)


@pytest.mark.parametrize("text", ["1.0", "1e2", "-0.0", "1E400", "1e-999999", "NaN", "-Infinity"])
def test_floats_are_never_read(text: str) -> None:
    with pytest.raises(errors.FloatInHashedPlace, match="found"):
        canonical.loads(b'{"a":[%s]}' % text.encode())


@pytest.mark.parametrize("number", [SAFE + 1, -SAFE - 1, 2**64])
def test_integers_beyond_2_53_are_neither_written_nor_read(number: int) -> None:
    with pytest.raises(errors.IntegerTooLarge, match="expected at most"):
        canonical.dumps([number])
    with pytest.raises(errors.IntegerTooLarge, match="expected at most"):
        canonical.loads(str(number).encode())


def test_integers_longer_than_python_reads_are_refused_like_any_other() -> None:
    with pytest.raises(errors.IntegerTooLarge, match="found 16610 bits"):
        canonical.dumps([10**5000])
    with pytest.raises(errors.IntegerTooLarge, match="found -1000"):
        canonical.loads(b"-1" + b"0" * 5000)


@pytest.mark.parametrize("number", [SAFE, -SAFE, 0])
def test_integers_up_to_2_53_are_both(number: int) -> None:
    assert canonical.loads(canonical.dumps(number)) == number


def test_minus_zero_is_the_integer_zero() -> None:
    assert canonical.dumps(canonical.loads(b"-0")) == b"0"


@pytest.mark.parametrize("text", ['{"a":1,"a":1}', '{"a":1,"\\u0061":2}', '[{"x":{"":1,"":2}}]'])
def test_a_name_that_stands_twice_is_refused(text: str) -> None:
    with pytest.raises(errors.MalformedJson, match="twice"):
        canonical.loads(text.encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":', b'[{"a":'])
def test_a_million_levels_are_refused_before_anything_recurses(opening: bytes) -> None:
    with pytest.raises(errors.MalformedJson, match="Nested"):
        canonical.loads(opening * 1_000_000)


def test_the_depth_that_is_allowed_is_the_same_for_both_ways() -> None:
    value: Any = 0
    for _ in range(canonical.MAX_DEPTH):
        value = [value]

    assert canonical.loads(canonical.dumps(value)) == value
    with pytest.raises(errors.MalformedJson, match="at most 32"):
        canonical.dumps([value])
    with pytest.raises(errors.MalformedJson, match="at most 32"):
        canonical.loads(b"[" * 33 + b"]" * 33)


def test_brackets_in_strings_are_no_levels() -> None:
    text = b'["%s\\"%s"]' % (b"[" * 100, b"{" * 100)

    assert canonical.loads(text) == ["[" * 100 + '"' + "{" * 100]


@pytest.mark.timeout(10)
@pytest.mark.parametrize(
    "text",
    [
        b'["' + b'\\"' * 400_000,  # a string without end, full of quotes
        b"{" + b",".join(b'"%d":0' % i for i in range(90_000)) + b',"89999":0}',
        b"[" + b"1" * 900_000 + b"]",
        b'"' + b"\\" * 999_999,
    ],
    ids=["quotes", "names", "digits", "escapes"],
)
def test_a_megabyte_made_to_be_slow_is_refused_at_once(text: bytes) -> None:
    with pytest.raises(errors.InvalidEvidence):
        canonical.loads(text)


@pytest.mark.parametrize("text", ['"\\ud800"', '"a\\udfff"', '{"\\ud800":1}', '"\\udc00\\ud800"'])
def test_lone_surrogates_are_refused(text: str) -> None:
    with pytest.raises(errors.MalformedJson):
        canonical.loads(text.encode())
    with pytest.raises(errors.MalformedJson):
        canonical.dumps(json.loads(text))


@pytest.mark.parametrize(
    "data",
    [b"\xef\xbb\xbf{}", b"\xff\xfe[\x00]\x00", b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"', b"\0", b""],
)  # fmt: skip
def test_other_than_utf_8_without_a_mark_is_refused(data: bytes) -> None:
    with pytest.raises(errors.MalformedJson):
        canonical.loads(data)


@pytest.mark.parametrize(
    "text",
    ["[1,]", "{a:1}", "'a'", "01", "+1", "1.", ".5", "0x1", "[1] 2", '"\t"', "True", "// x\n1", "-"],
)  # fmt: skip
def test_what_only_lenient_readers_take_is_refused(text: str) -> None:
    with pytest.raises(errors.InvalidEvidence):
        canonical.loads(text.encode())


@pytest.mark.parametrize("value", [b"", {1: 2}, {1, 2}, object(), [b"x"]])
def test_other_than_json_values_are_not_written(value: Any) -> None:
    with pytest.raises(errors.MalformedJson):
        canonical.dumps(value)
