"""Announce: what organisations are told of an order, all that they need to judge it but the files."""

from __future__ import annotations

import base64

from ledger_service.domain.records import Order


def announcement(order: Order, envelope: bytes) -> dict[str, object]:
    """Return the body of the feed's line, as JSON."""
    return {
        "content": order.content.as_json(),
        "document": base64.b64encode(order.document).decode(),
        "envelope": base64.b64encode(envelope).decode(),
        "asset": order.asset,
    }
