from __future__ import annotations

import itertools
from typing import Any

import pytest

from integrations.documents.mapping import document_id, merged
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from tests.peers.deliveries import told

FACTS = [
    told("documents", status).payload
    for status in (Status.EMERGENCY, Status.RATIFIED, Status.COMPLETED)
]


def after(facts: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    document: dict[str, Any] | None = None
    for fact in facts:
        document = merged(document, fact) or document
    assert document is not None
    return document


def test_a_first_fact_makes_a_whole_document() -> None:
    payload = told("documents").payload

    document = after((payload,))

    assert document["id"] == payload["order"]
    assert document["status"] == "Validated"
    assert document["order"] == payload["document"]
    assert document["updatedAt"] == payload["at"]
    assert [step["eventId"] for step in document["history"]] == [payload["eventId"]]


def test_a_fact_that_is_in_it_changes_nothing() -> None:
    document = after((FACTS[0],))

    assert merged(document, FACTS[0]) is None


def test_facts_in_any_order_and_repeated_give_the_same_document() -> None:
    expected = after(tuple(FACTS))

    for order in itertools.permutations(FACTS * 2):
        assert after(order) == expected
    assert expected["status"] == "Completed"
    assert [step["status"] for step in expected["history"]] == [
        "Emergency",
        "Ratified",
        "Completed",
    ]


def test_a_merge_leaves_the_document_it_was_given_alone() -> None:
    document = after((FACTS[0],))
    before = len(document["history"])

    merged(document, FACTS[1])

    assert len(document["history"]) == before


def test_an_order_id_that_is_none_is_not_used_as_a_name() -> None:
    with pytest.raises(errors.UnknownField):
        document_id({"order": "../../etc/passwd"})
