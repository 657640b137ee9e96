from __future__ import annotations

from pathlib import Path

import pytest

from integrations.erp.ubl import UblOrders
from ledger_service.domain.lifecycle import Status
from tests.peers import ubl
from tests.peers.deliveries import told


@pytest.fixture(autouse=True)
def _schemas() -> None:
    if not ubl.present():
        pytest.skip("the UBL schemas are not here: `make setup-peers` fetches them by mvn")


@pytest.mark.parametrize(
    "status",
    [
        Status.VALIDATED,
        Status.EMERGENCY,
        Status.RATIFIED,
        Status.CONTESTED,
        Status.CANCELLED,
    ],
)
@pytest.mark.parametrize("currency", ["EUR", "JPY", "KWD"])
async def test_every_document_is_valid_by_the_oasis_schema(
    tmp_path: Path, status: Status, currency: str
) -> None:
    reference = await UblOrders(tmp_path, buyer="Plant <1> & Söhne").deliver(
        told("erp", status, currency=currency, reason="cost above limit")
    )

    assert ubl.problems(tmp_path / str(reference["file"])) == []


async def test_the_schema_finds_what_is_wrong(tmp_path: Path) -> None:
    reference = await UblOrders(tmp_path, buyer="Plant 1").deliver(told("erp"))
    document = tmp_path / str(reference["file"])
    document.write_bytes(document.read_bytes().replace(b"cbc:IssueDate", b"cbc:IssuedOn"))

    assert ubl.problems(document)
