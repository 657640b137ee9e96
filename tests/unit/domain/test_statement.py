from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from ledger_service.domain import canonical, dataset, dsse, errors, ids, statement
from ledger_service.domain.statement import Feature, Runtime, Statement, Window
from ledger_service.domain.units import Quantity
from tests.unit.domain.small import few
from tests.vectors.sample import DEVICES, claim, envelope

SAMPLE = claim("ed25519")
SAFE = canonical.MAX_SAFE_INTEGER
PRINTED = st.text("abc XYZ-09é€𝄞", min_size=1, max_size=9)
ASCII = st.text("abcXYZ-/09", min_size=1, max_size=9)
DIGEST = st.binary(min_size=32, max_size=32)
QUANTITY = st.builds(Quantity, st.integers(-SAFE, SAFE), st.integers(-18, 18), ASCII)
TIMES = st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)).map(  # noqa: DTZ001  made UTC below
    lambda t: t.replace(microsecond=0, tzinfo=UTC)
)
ENTRIES = st.lists(
    st.builds(
        dataset.Entry,
        st.text("abcdefé", min_size=1, max_size=5),
        st.integers(0, SAFE),
        st.sampled_from(["text/csv", "application/vnd.x+json"]),
        st.sampled_from(dataset.CHUNK_SIZES),
        DIGEST.map(ids.FileRoot),
    ),
    min_size=1,
    max_size=4,
    unique_by=lambda entry: entry.path.casefold(),
).map(dataset.check_entries)


@st.composite
def statements(draw: st.DrawFn) -> Statement:
    entries, sequence = tuple(draw(ENTRIES)), draw(st.integers(1, SAFE))
    start, end = sorted(draw(st.lists(TIMES, min_size=2, max_size=2, unique=True)))
    return Statement(
        asset=f"{draw(st.integers(1, 255))}/{draw(st.sampled_from(['a', 'robot-7', 'Z.9_:-', 'x' * 120]))}",
        detector=ids.DetectorId(draw(DIGEST)),
        failure_mode=draw(st.sampled_from(["0", "bearing-wear", "a--", "x" * 64])),
        window=Window(start, end, draw(st.integers(1, 86_400))),
        input_path=draw(st.sampled_from(entries)).path,
        score=draw(QUANTITY),
        threshold=draw(QUANTITY),
        features=tuple(draw(st.lists(st.builds(Feature, PRINTED, QUANTITY), max_size=3))),
        public_key=draw(st.binary(min_size=1, max_size=120)),
        sequence=sequence,
        previous=None if sequence == 1 else ids.EvidenceId(draw(DIGEST)),
        runtime=Runtime(draw(ASCII), draw(ASCII), draw(ASCII)),
        entries=entries,
        dataset_root=dataset.dataset_root(entries),
    )


@few
@given(statements())
def test_what_the_code_writes_the_schema_takes_and_the_code_reads_back(found: Statement) -> None:
    text = found.dumps()

    assert Draft202012Validator(statement.schema()).is_valid(canonical.loads(text))
    assert statement.loads(text) == found
    assert statement.read_kept(text) == found
    assert statement.loads(text).dumps() == text


def places(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at] if at else []
    if isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for step, inner in items:
            found += places(inner, (*at, step))
    return found


WRONG: list[Any] = [
    None,
    True,
    -1,
    0,
    "",
    "\n",
    "x" * 600,
    [],
    {},
    [[]],
    {"a": 1},
    "0" * 64,
    "é",
    2**53 - 1,
]


@few
@given(place=st.sampled_from(places(canonical.loads(SAMPLE.dumps()))), value=st.sampled_from(WRONG))
def test_whatever_stands_in_a_wrong_place_is_read_or_refused_by_name(
    place: tuple[str | int, ...], value: Any
) -> None:
    fields = canonical.loads(SAMPLE.dumps())
    at = fields
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] = copy.deepcopy(value)
    takes = Draft202012Validator(statement.schema()).is_valid(fields)

    try:
        read = statement.loads(canonical.dumps(fields))
    except errors.LedgerError:
        return
    assert takes
    assert statement.loads(read.dumps()) == read


@pytest.mark.parametrize(
    "place",
    [
        ("predicate", "asset"),
        ("predicate", "detector"),
        ("predicate", "failureMode"),
        ("predicate", "window", "start"),
        ("predicate", "dataset", "root"),
        ("predicate", "device", "publicKey"),
        ("subject", 0, "mediaType"),
        ("subject", 0, "digest", statement.DIGEST_NAME),
    ],
)
def test_a_new_line_at_the_end_is_refused_as_every_other_reader_refuses_it(
    place: tuple[str | int, ...],
) -> None:
    fields = canonical.loads(SAMPLE.dumps())
    at = fields
    for step in place[:-1]:
        at = at[step]
    at[place[-1]] += "\n"

    with pytest.raises(errors.UnknownField, match="does not match"):
        statement.loads(canonical.dumps(fields))


def test_a_statement_over_a_mebibyte_is_refused_before_it_is_read() -> None:
    with pytest.raises(errors.TooLarge, match="found 1048577, expected at most 1048576"):
        statement.loads(b"[" * (statement.MAX_STATEMENT_BYTES + 1))


@pytest.mark.timeout(10)
def test_a_statement_that_is_wrong_in_a_hundred_thousand_places_is_refused_at_once() -> None:
    fields = canonical.loads(SAMPLE.dumps()) | {"subject": [0] * 100_000}

    with pytest.raises(errors.UnknownField, match="is not of type"):
        statement.loads(canonical.dumps(fields))


def test_the_bytes_count_not_the_fields() -> None:
    text = SAMPLE.dumps()
    spaced = text.replace(b'"_type":', b'"_type": ')

    assert statement.loads(spaced) == statement.loads(text)
    assert statement.evidence_id(spaced) != statement.evidence_id(text)


def test_what_was_kept_and_rotted_is_no_other_statement() -> None:
    text = SAMPLE.dumps()
    root = SAMPLE.dataset_root.hex()

    with pytest.raises(errors.DigestMismatch):
        statement.read_kept(text.replace(root.encode(), b"0" * len(root)))
    with pytest.raises(KeyError):
        statement.read_kept(text.replace(b"failureMode", b"failureMood"))
    with pytest.raises(errors.MalformedJson):
        statement.read_kept(text[:-1])


def test_the_order_of_the_subjects_does_not_matter() -> None:
    turned = replace(SAMPLE, entries=SAMPLE.entries[::-1])

    assert statement.loads(turned.dumps()) == statement.loads(SAMPLE.dumps())


@pytest.mark.parametrize("kind", list(DEVICES))
def test_the_device_that_a_statement_names_has_signed_it(kind: str) -> None:
    sealed = dsse.loads(envelope(claim(kind).dumps(), kind))

    statement.verify_signature(sealed, statement.loads(sealed.payload))


def test_a_statement_signed_by_another_device_under_its_own_name_is_not_signed() -> None:
    sealed = dsse.loads(envelope(SAMPLE.dumps(), "p256"))

    with pytest.raises(errors.MissingSignature, match=SAMPLE.device.hex()):
        statement.verify_signature(sealed, SAMPLE)


def test_a_signature_under_another_payload_type_is_refused() -> None:
    sealed = replace(dsse.loads(envelope(SAMPLE.dumps(), "ed25519")), payload_type="text/plain")

    with pytest.raises(errors.UnknownField, match="found text/plain, expected application"):
        statement.verify_signature(sealed, SAMPLE)
