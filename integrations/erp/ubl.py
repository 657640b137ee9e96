"""Purchase orders as UBL 2.1 files in a drop folder, from which an ERP takes them away.

orders/PO-X.xml          released: Validated, or Ratified
drafts/PO-X.draft.xml    Emergency: not released, removed when it is ratified or contested
cancellations/PO-X.xml   Cancelled, or the draft is void because it was contested
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from integrations import files
from integrations.dropbox import DropBox, Parcel
from integrations.erp import mapping
from integrations.erp.purchase import Purchase, purchase_of
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Delivery

#: Status -> what it means to a buyer. Everything else buys nothing.
KINDS: Mapping[Status, str] = {
    Status.EMERGENCY: "draft",
    Status.VALIDATED: "order",
    Status.RATIFIED: "order",
    Status.CONTESTED: "void",
    Status.CANCELLED: "cancellation",
}


class UblOrders:
    """The Destination port: each document is put there once, also if it was taken away since."""

    name = "erp"

    def __init__(self, folder: Path, *, buyer: str) -> None:
        self._folder = folder
        self._buyer = buyer
        self._box = DropBox(folder)

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Put the document of the order's new state there. Raise DestinationDown, DestinationRefused."""
        purchase = purchase_of(delivery.payload)
        if purchase.status not in KINDS:
            return {"kind": "none", "number": None, "format": "UBL 2.1"}
        return await files.on_disk(self.name, lambda: self._deliver(purchase))

    async def close(self) -> None:
        """Hold nothing open."""

    def _deliver(self, purchase: Purchase) -> dict[str, object]:
        with files.locked(self._folder, files.lock_of(purchase.number)):
            if any(self._box.has(_key(purchase, later)) for later in _after(purchase.status)):
                return {**_reference(purchase), "overtaken": True}
            reference = self._box.put(_key(purchase, purchase.status), self._parcel(purchase))
            if purchase.status is not Status.EMERGENCY:
                files.remove(self._folder / _draft(purchase))
            return reference

    def _parcel(self, purchase: Purchase) -> Parcel:
        match purchase.status:
            case Status.EMERGENCY:
                target = _draft(purchase)
                data = mapping.order(purchase, buyer=self._buyer, draft=True)
            case Status.VALIDATED | Status.RATIFIED:
                target = f"orders/{purchase.number}.xml"
                data = mapping.order(purchase, buyer=self._buyer, draft=False)
            case _:
                target = f"cancellations/{purchase.number}.xml"
                data = mapping.cancellation(purchase, buyer=self._buyer, why=_why(purchase))
        return Parcel(data, target, {**_reference(purchase), "file": target})


def _reference(purchase: Purchase) -> dict[str, object]:
    return {"kind": KINDS[purchase.status], "number": purchase.number, "format": "UBL 2.1"}


def _key(purchase: Purchase, status: Status) -> str:
    """Name the state of one order: it is reached once, whichever event tells of it."""
    return f"{purchase.number}.{status.name.lower()}"


def _after(status: Status) -> list[Status]:
    return [later for later in KINDS if later > status]


def _draft(purchase: Purchase) -> str:
    return f"drafts/{purchase.number}.draft.xml"


def _why(purchase: Purchase) -> str:
    if purchase.status is Status.CANCELLED:
        return "Cancelled by the parties that approved it."
    reason = f" Reason: {purchase.reason}." if purchase.reason else ""
    return f"The draft is void: the emergency was contested.{reason}"
