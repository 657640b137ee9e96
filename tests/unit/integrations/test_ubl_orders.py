from __future__ import annotations

from pathlib import Path

import pytest
from lxml import etree

from integrations.erp.mapping import CBC, DRAFT
from integrations.erp.purchase import number_of
from integrations.erp.ubl import UblOrders
from ledger_service.domain.lifecycle import Status
from tests.peers.deliveries import told

NUMBER = number_of(told("erp").payload["order"])


@pytest.fixture
def orders(tmp_path: Path) -> UblOrders:
    return UblOrders(tmp_path, buyer="Plant 1")


def seen(folder: Path) -> list[str]:
    """Return what a reader of the drop folder sees."""
    found = folder.glob("[!.]*/*")
    return sorted(str(path.relative_to(folder)) for path in found)


def notes(path: Path) -> list[str]:
    return [node.text for node in etree.parse(path).getroot().iterfind(f"{{{CBC}}}Note")]


async def test_a_validated_order_becomes_a_purchase_order(
    orders: UblOrders, tmp_path: Path
) -> None:
    reference = await orders.deliver(told("erp"))

    assert seen(tmp_path) == [f"orders/{NUMBER}.xml"]
    assert (reference["kind"], reference["number"]) == ("order", NUMBER)


async def test_an_emergency_is_a_draft_that_says_so(orders: UblOrders, tmp_path: Path) -> None:
    reference = await orders.deliver(told("erp", Status.EMERGENCY))

    assert seen(tmp_path) == [f"drafts/{NUMBER}.draft.xml"]
    assert notes(tmp_path / f"drafts/{NUMBER}.draft.xml")[0] == DRAFT
    assert reference["kind"] == "draft"


async def test_ratification_releases_the_draft(orders: UblOrders, tmp_path: Path) -> None:
    await orders.deliver(told("erp", Status.EMERGENCY))

    reference = await orders.deliver(told("erp", Status.RATIFIED))

    assert seen(tmp_path) == [f"orders/{NUMBER}.xml"]
    assert (reference["kind"], reference["number"]) == ("order", NUMBER)


async def test_contesting_voids_the_draft(orders: UblOrders, tmp_path: Path) -> None:
    await orders.deliver(told("erp", Status.EMERGENCY))

    reference = await orders.deliver(told("erp", Status.CONTESTED, reason="cost too high"))

    assert seen(tmp_path) == [f"cancellations/{NUMBER}.xml"]
    assert b"cost too high" in (tmp_path / f"cancellations/{NUMBER}.xml").read_bytes()
    assert reference["kind"] == "void"


async def test_a_cancelled_order_is_cancelled_beside_its_purchase_order(
    orders: UblOrders, tmp_path: Path
) -> None:
    await orders.deliver(told("erp"))

    await orders.deliver(told("erp", Status.CANCELLED))

    assert seen(tmp_path) == [f"cancellations/{NUMBER}.xml", f"orders/{NUMBER}.xml"]


@pytest.mark.parametrize(
    "status",
    [Status.REFUSED, Status.EXPIRED, Status.WITHDRAWN, Status.COMPLETED],
)
async def test_other_states_buy_nothing(orders: UblOrders, tmp_path: Path, status: Status) -> None:
    reference = await orders.deliver(told("erp", status))

    assert seen(tmp_path) == []
    assert reference["kind"] == "none"


async def test_a_draft_that_comes_after_its_end_is_not_put_there(
    orders: UblOrders, tmp_path: Path
) -> None:
    await orders.deliver(told("erp", Status.RATIFIED))

    reference = await orders.deliver(told("erp", Status.EMERGENCY))

    assert seen(tmp_path) == [f"orders/{NUMBER}.xml"]
    assert reference["overtaken"] is True


async def test_an_order_that_the_erp_took_away_does_not_come_back(
    orders: UblOrders, tmp_path: Path
) -> None:
    first = await orders.deliver(told("erp"))
    (tmp_path / f"orders/{NUMBER}.xml").unlink()

    second = await orders.deliver(told("erp"))

    assert seen(tmp_path) == []
    assert first == second


async def test_the_same_state_told_by_another_event_buys_nothing_more(
    orders: UblOrders, tmp_path: Path
) -> None:
    await orders.deliver(told("erp", block=10))
    (tmp_path / f"orders/{NUMBER}.xml").unlink()

    await orders.deliver(told("erp", block=11))

    assert seen(tmp_path) == []


async def test_a_kill_between_staging_and_placing_is_made_good_by_the_repeat(
    orders: UblOrders, tmp_path: Path
) -> None:
    await orders.deliver(told("erp"))
    placed = tmp_path / f"orders/{NUMBER}.xml"
    whole = placed.read_bytes()
    placed.rename(tmp_path / f".staging/{NUMBER}.validated")

    await orders.deliver(told("erp"))

    assert placed.read_bytes() == whole


async def test_a_kill_before_the_record_is_made_good_by_the_repeat(
    orders: UblOrders, tmp_path: Path
) -> None:
    (tmp_path / ".staging").mkdir()
    (tmp_path / f".staging/.{NUMBER}.validated.tmp").write_bytes(b"<Ord")
    (tmp_path / f".staging/{NUMBER}.validated").write_bytes(b"from another attempt")

    await orders.deliver(told("erp"))

    assert b"</Order>" in (tmp_path / f"orders/{NUMBER}.xml").read_bytes()
    assert list((tmp_path / ".staging").iterdir()) == []
