from __future__ import annotations

import json
from typing import Any

import pytest

from ledger_service.domain import errors, ids, result
from ledger_service.domain.profile import Agreement
from ledger_service.domain.result import Reason, ResultDocument

DOCUMENT = ResultDocument(
    salt=bytes(16),
    organisation=2,
    order=ids.OrderId(b"o" * 32),
    score=142_857,
    runtime="onnxruntime/1.31.0/ort-cpu-1thread/1",
    agreement=Agreement.BIT_EQUAL.value,
)


def test_a_result_survives_and_its_digest_is_its_own() -> None:
    salted = ResultDocument(b"1" * 16, 2, DOCUMENT.order, 142_857, DOCUMENT.runtime, "bit-equal")

    assert result.loads(DOCUMENT.dumps()) == DOCUMENT
    assert result.result_digest(DOCUMENT.dumps()) == DOCUMENT.digest()
    assert salted.digest() != DOCUMENT.digest()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("salt", "zz" * 16),
        ("salt", "00" * 15),
        ("salt", "00 " * 16),
        ("salt", 0),
        ("organisation", 0),
        ("organisation", 256),
        ("organisation", "2"),
        ("organisation", True),
        ("order", "0" * 63),
        ("order", None),
        ("score", -1),
        ("score", 2_000_001),
        ("score", "1"),
        ("runtime", 5),
        ("runtime", "x" * 201),
        ("class", "conflict"),
        ("class", "fine"),
        ("class", ["bit-equal"]),
        ("mood", "bad"),
    ],
)
def test_a_result_of_another_shape_is_refused(name: str, value: Any) -> None:
    fields = json.loads(DOCUMENT.dumps()) | {name: value}

    with pytest.raises(errors.UnknownField):
        result.loads(json.dumps(fields).encode())


@pytest.mark.parametrize("name", ["salt", "organisation", "order", "score", "runtime", "class"])
def test_a_result_without_one_of_its_fields_is_refused(name: str) -> None:
    fields = {key: value for key, value in json.loads(DOCUMENT.dumps()).items() if key != name}

    with pytest.raises(errors.UnknownField, match="expected"):
        result.loads(json.dumps(fields).encode())


@pytest.mark.parametrize("text", ["[]", "null", '"salt"', "7"])
def test_other_than_an_object_is_no_result(text: str) -> None:
    with pytest.raises(errors.UnknownField):
        result.loads(text.encode())


def test_reasons_fit_their_place_on_chain_and_read_as_words() -> None:
    assert all(0 < reason < 2**16 for reason in Reason)
    assert Reason.SCORE_CONFLICT.title == "Score conflict"
