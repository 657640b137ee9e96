from __future__ import annotations

import random
import time
from decimal import Decimal
from uuid import UUID

import pytest
from lxml import etree

from integrations.erp import mapping
from integrations.erp.purchase import number_of, purchase_of
from ledger_service.domain import errors
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.units import amount, money
from tests.peers.deliveries import told

NAMES = {"cbc": mapping.CBC, "cac": mapping.CAC}
LONGEST_NUMBER = 20  # characters, in the ERPs that allow the fewest


def texts(document: bytes, path: str) -> list[str]:
    return [node.text for node in etree.fromstring(document).iterfind(path, NAMES)]


@pytest.mark.parametrize(
    ("minor", "currency", "expected"),
    [
        (0, "EUR", "0.00"),
        (1, "EUR", "0.01"),
        (123456789012345678, "USD", "1234567890123456.78"),
        (1500, "JPY", "1500"),
        (1500, "KWD", "1.500"),
    ],
)
def test_money_is_exact_in_each_currency_s_own_digits(
    minor: int, currency: str, expected: str
) -> None:
    assert f"{money(minor, currency):f}" == expected
    assert amount(minor, currency) == f"{expected} {currency}"


def test_the_total_is_the_sum_of_the_lines_and_leaves_labour_out() -> None:
    purchase = purchase_of(told("erp").payload)

    assert [line.amount for line in purchase.lines] == [Decimal("269.97"), Decimal("0.01")]
    assert purchase.total == Decimal("269.98")
    assert purchase.approved == Decimal("329.98")


def test_totals_are_exact_for_any_prices() -> None:
    seed = time.time_ns()
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  prices
    for _ in range(50):
        pairs = [
            (chance.randint(1, 10**3), chance.randint(0, 10**11))
            for _ in range(chance.randint(1, 20))
        ]
        expected = sum(quantity * price for quantity, price in pairs)
        parts = [
            {"number": "P", "description": "D", "quantity": quantity, "unitPrice": price}
            for quantity, price in pairs
        ]

        purchase = purchase_of(told("erp", parts=parts).payload)

        assert purchase.total * 100 == expected
        assert f"{purchase.total:f}" == f"{expected // 100}.{expected % 100:02d}"


def test_an_order_s_number_is_the_same_in_every_state_and_fits_an_erp() -> None:
    states = (Status.EMERGENCY, Status.RATIFIED, Status.CANCELLED)
    purchases = [purchase_of(told("erp", status).payload) for status in states]

    assert len({purchase.number for purchase in purchases}) == 1
    assert len({purchase.uuid for purchase in purchases}) == 1
    assert len(purchases[0].number) <= LONGEST_NUMBER


def test_other_orders_have_other_numbers() -> None:
    numbers = {number_of(told("erp", of=order).payload["order"]) for order in range(200)}

    assert len(numbers) == 200


def test_the_order_leads_back_to_order_evidence_and_dataset() -> None:
    payload = told("erp").payload
    document = mapping.order(purchase_of(payload), buyer="Plant 1", draft=False)

    assert texts(document, "cbc:CustomerReference") == [payload["order"]]
    assert texts(document, "cac:OriginatorDocumentReference/cbc:ID") == [payload["order"]]
    assert texts(document, "cac:AdditionalDocumentReference/cbc:ID") == [
        payload["evidence"],
        payload["datasetRoot"],
    ]
    assert UUID(texts(document, "cbc:UUID")[0]).version == 5


def test_a_draft_says_that_it_is_one_and_a_released_order_does_not() -> None:
    purchase = purchase_of(told("erp", Status.EMERGENCY).payload)

    draft = mapping.order(purchase, buyer="Plant 1", draft=True)
    released = mapping.order(purchase, buyer="Plant 1", draft=False)

    assert texts(draft, "cbc:Note")[0] == mapping.DRAFT
    assert mapping.DRAFT not in texts(released, "cbc:Note")


def test_a_cancellation_names_the_order_that_it_takes_back() -> None:
    purchase = purchase_of(told("erp", Status.CANCELLED).payload)

    document = mapping.cancellation(purchase, buyer="Plant 1", why="No longer needed.")

    assert texts(document, "cac:OrderReference/cbc:ID") == [purchase.number]
    assert texts(document, "cbc:CancellationNote") == ["No longer needed."]


def test_the_same_purchase_gives_the_same_bytes() -> None:
    first, second = (
        mapping.order(purchase_of(told("erp").payload), buyer="Plant 1", draft=False)
        for _ in range(2)
    )

    assert first == second


def test_text_that_xml_cannot_hold_is_refused() -> None:
    purchase = purchase_of(told("erp", asset="1/robot-\x00").payload)

    with pytest.raises(errors.DestinationRefused, match="XML cannot hold"):
        mapping.order(purchase, buyer="Plant 1", draft=False)
