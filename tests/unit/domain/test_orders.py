from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from ledger_service.domain import canonical, errors, ids, order, statement
from ledger_service.domain.jobplan import JobPlan
from ledger_service.domain.order import Content, OrdersDomain
from tests.vectors.sample import PLAN, claim

CONTENT = Content(
    evidence=ids.EvidenceId(b"e" * 32),
    dataset_root=ids.DatasetRoot(b"d" * 32),
    order_digest=ids.OrderDigest(b"o" * 32),
    asset_version=ids.VersionId(b"v" * 32),
    detector=ids.DetectorId(b"t" * 32),
    builder=ids.Address(b"b" * 20),
    cost=1,
    deadline=2,
    attempt=3,
)
DOMAIN = OrdersDomain(1337, ids.Address(b"c" * 20), b"s" * 32)


def write(**changes: Any) -> bytes:
    sealed = claim("ed25519").dumps()
    fields: dict[str, Any] = {
        "evidence": statement.evidence_id(sealed),
        "statement": claim("ed25519"),
        "plan": JobPlan.model_validate(PLAN),
        "currency": "EUR",
        "deadline": datetime(2026, 11, 26, tzinfo=UTC),
        "attempt": 1,
    }
    return order.document(**(fields | changes))


def changed(name: str) -> Content:
    value = getattr(CONTENT, name)
    other: Any = b"x" * len(value) if isinstance(value, bytes) else value + 100
    return replace(CONTENT, **{name: other})


def test_every_field_of_the_content_and_of_the_domain_is_in_the_order_id() -> None:
    contents = [changed(name) for name in Content.__slots__]
    domains = [
        replace(DOMAIN, chain_id=1),
        replace(DOMAIN, contract=ids.Address(b"x" * 20)),
        replace(DOMAIN, salt=b"x" * 32),
    ]
    found = {order.order_id(content, DOMAIN) for content in [CONTENT, *contents]}
    found |= {order.order_id(CONTENT, domain) for domain in domains}

    assert len(found) == 1 + len(Content.__slots__) + 3


def test_a_content_survives_its_json_form() -> None:
    assert Content.from_json(CONTENT.as_json()) == CONTENT
    assert order.content_fields(CONTENT)["cost"] == 1


@pytest.mark.parametrize("name", list(CONTENT.as_json()))
def test_a_content_without_one_of_its_fields_is_none(name: str) -> None:
    fields = {key: value for key, value in CONTENT.as_json().items() if key != name}

    with pytest.raises(errors.UnknownField, match=f"found no {name}"):
        Content.from_json(fields)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", 2**64),
        ("cost", -1),
        ("cost", "1"),
        ("cost", 1.0),
        ("cost", True),
        ("cost", None),
        ("deadline", 2**40),
        ("attempt", 2**24),
        ("evidence", "00"),
        ("evidence", "AB" * 32),
        ("evidence", "ab" * 32 + "\n"),
        ("detector", None),
        ("builder", "0x00"),
        ("builder", 5),
    ],
)
def test_numbers_and_ids_that_the_contract_cannot_hold_are_refused(name: str, value: Any) -> None:
    with pytest.raises(errors.UnknownField, match="found"):
        Content.from_json(CONTENT.as_json() | {name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [("cost", 2**64), ("deadline", -1), ("attempt", 2**24), ("evidence", b"e" * 31), ("builder", b"")],
)  # fmt: skip
def test_a_content_that_does_not_fit_has_no_id(name: str, value: Any) -> None:
    with pytest.raises(errors.UnknownField):
        order.order_id(replace(CONTENT, **{name: value}), DOMAIN)


def test_the_same_inputs_give_the_same_document() -> None:
    assert write() == write()
    assert order.order_digest(write()) != order.order_digest(write(attempt=2))


def test_the_document_has_all_that_is_needed_to_decide_and_to_work() -> None:
    found = canonical.loads(write())

    assert found["cost"] == {"amount": 2 * 12_300 + 9_000, "currency": "EUR"}
    assert found["expectedMinutes"] == 45
    assert found["lockOut"] == ["Main switch off, locked and tagged"]
    assert found["window"] == {"start": "2026-11-24T08:00:00Z", "end": "2026-11-24T09:00:00Z"}
    assert found["parts"][0]["unitPrice"] == 12_300
    assert canonical.dumps(found) == write()
