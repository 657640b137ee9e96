"""UBL 2.1 documents of a purchase: Order and OrderCancellation. Pure.

The element order is the schema's. The same purchase gives the same bytes.
"""

from __future__ import annotations

from decimal import Decimal

from lxml import etree

from integrations.erp.purchase import Line, Purchase
from ledger_service.domain import errors

ORDER = "urn:oasis:names:specification:ubl:schema:xsd:Order-2"
CANCELLATION = "urn:oasis:names:specification:ubl:schema:xsd:OrderCancellation-2"
CAC = "urn:oasis:names:specification:ubl:schema:xsd:CommonAggregateComponents-2"
CBC = "urn:oasis:names:specification:ubl:schema:xsd:CommonBasicComponents-2"
DRAFT = "DRAFT - NOT RELEASED. Emergency order: deliver nothing, pay nothing until it is ratified."
#: UN/CEFACT 1001: an order.
ORDER_CODE = "220"


def order(purchase: Purchase, *, buyer: str, draft: bool) -> bytes:
    """Write the purchase order; a draft says so in its first note. Raise DestinationRefused."""
    root = _Element(ORDER, "Order")
    root.add("UBLVersionID", "2.1")
    root.add("ID", purchase.number)
    root.add("UUID", str(purchase.uuid))
    _dated(root, purchase)
    root.add("OrderTypeCode", ORDER_CODE)
    if draft:
        root.add("Note", DRAFT)
    root.add("Note", f"{purchase.title}, for machine {purchase.asset}.")
    root.add("Note", f"Approved in all, labour included: {purchase.approved} {purchase.currency}.")
    root.add("DocumentCurrencyCode", purchase.currency)
    root.add("CustomerReference", purchase.order)
    root.add("LineCountNumeric", str(len(purchase.lines)))
    _references(root, purchase)
    _parties(root, purchase, buyer)
    delivery = root.part("Delivery")
    delivery.part("DeliveryLocation").add("Description", f"Machine {purchase.asset}")
    period = delivery.part("RequestedDeliveryPeriod")
    period.add("EndDate", f"{purchase.deadline:%Y-%m-%d}")
    period.add("EndTime", f"{purchase.deadline:%H:%M:%S}Z")
    total = root.part("AnticipatedMonetaryTotal")
    total.money("LineExtensionAmount", purchase.total, purchase.currency)
    total.money("PayableAmount", purchase.total, purchase.currency)
    for position, line in enumerate(purchase.lines, start=1):
        _line(root, position, line, purchase.currency)
    return root.bytes()


def cancellation(purchase: Purchase, *, buyer: str, why: str) -> bytes:
    """Write what takes the purchase order, or its draft, back. Raise DestinationRefused."""
    root = _Element(CANCELLATION, "OrderCancellation")
    root.add("UBLVersionID", "2.1")
    root.add("ID", f"{purchase.number}-C")
    _dated(root, purchase)
    root.add("CancellationNote", why)
    reference = root.part("OrderReference")
    reference.add("ID", purchase.number)
    reference.add("UUID", str(purchase.uuid))
    reference.add("CustomerReference", purchase.order)
    _references(root, purchase)
    _parties(root, purchase, buyer)
    return root.bytes()


def _dated(root: _Element, purchase: Purchase) -> None:
    root.add("IssueDate", f"{purchase.at:%Y-%m-%d}")
    root.add("IssueTime", f"{purchase.at:%H:%M:%S}Z")


def _references(root: _Element, purchase: Purchase) -> None:
    """Tie the document to the ledger: the order id, the evidence, the root over its dataset."""
    _reference(root, "OriginatorDocumentReference", purchase.order, "maintenance order")
    _reference(root, "AdditionalDocumentReference", purchase.evidence, "evidence")
    _reference(root, "AdditionalDocumentReference", purchase.dataset_root, "dataset root")


def _reference(root: _Element, name: str, identity: str, kind: str) -> None:
    reference = root.part(name)
    reference.add("ID", identity)
    reference.add("DocumentType", kind)


def _parties(root: _Element, purchase: Purchase, buyer: str) -> None:
    root.part("BuyerCustomerParty").part("Party").part("PartyName").add("Name", buyer)
    seller = root.part("SellerSupplierParty")
    seller.add("CustomerAssignedAccountID", purchase.supplier_id)
    party = seller.part("Party")
    party.part("PartyIdentification").add("ID", purchase.supplier_id)
    party.part("PartyName").add("Name", purchase.supplier_name)


def _line(root: _Element, position: int, line: Line, currency: str) -> None:
    item = root.part("OrderLine").part("LineItem")
    item.add("ID", str(position))
    item.add("Quantity", str(line.quantity), unitCode=line.unit)
    item.money("LineExtensionAmount", line.amount, currency)
    item.part("Price").money("PriceAmount", line.price, currency)
    what = item.part("Item")
    what.add("Description", line.description)
    what.add("Name", line.description)
    what.part("BuyersItemIdentification").add("ID", line.part)


class _Element:
    """An element that is written to in the schema's order."""

    def __init__(self, namespace: str, name: str, parent: etree._Element | None = None) -> None:
        self._name = name
        if parent is None:
            names = {None: namespace, "cac": CAC, "cbc": CBC}
            self._node = etree.Element(f"{{{namespace}}}{name}", nsmap=names)
        else:
            self._node = etree.SubElement(parent, f"{{{namespace}}}{name}")

    def part(self, name: str) -> _Element:
        """Append an aggregate."""
        return _Element(CAC, name, self._node)

    def add(self, name: str, text: str, **attributes: str) -> None:
        """Append a basic component."""
        node = etree.SubElement(self._node, f"{{{CBC}}}{name}", attributes)
        try:
            node.text = text
        except ValueError as exc:
            raise errors.DestinationRefused(
                "XML cannot hold this text.", field=name, found=repr(text[:60])
            ) from exc

    def money(self, name: str, amount: Decimal, currency: str) -> None:
        """Append an amount, written out in full."""
        self.add(name, f"{amount:f}", currencyID=currency)

    def bytes(self) -> bytes:
        """Return the document."""
        written: bytes = etree.tostring(
            self._node, xml_declaration=True, encoding="UTF-8", pretty_print=True
        )
        return written
