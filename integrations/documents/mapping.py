"""From facts to one document per order. Pure; every document store uses it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ledger_service.domain import ids

#: What the newest fact says replaces what older facts said.
PRESENT = (
    "asset",
    "evidence",
    "datasetRoot",
    "status",
    "reason",
    "content",
    "approvals",
    "chain",
)
#: What each fact leaves in the history.
STEP = ("eventId", "kind", "status", "reason", "at", "block", "transaction")


def document_id(payload: Mapping[str, Any]) -> str:
    """Return the order's id in hex: safe in file names and addresses. Raise UnknownField."""
    return ids.parse32(payload["order"]).hex()


def merged(present: Mapping[str, Any] | None, payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the document with the fact in it, None if the fact was in it already.

    Facts may come in any order: event ids sort as the chain does, and the last one says the state.
    """
    history = list(present["history"]) if present else []
    if any(step["eventId"] == payload["eventId"] for step in history):
        return None
    history.append({name: payload[name] for name in STEP})
    history.sort(key=lambda step: str(step["eventId"]))
    if present and history[-1]["eventId"] != payload["eventId"]:
        return {**present, "history": history}
    return {
        "id": document_id(payload),
        **{name: payload[name] for name in PRESENT},
        "updatedAt": payload["at"],
        "order": payload["document"],
        "history": history,
    }
