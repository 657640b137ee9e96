"""The calls that an agent may sign, and their JSON form in the journal."""

from __future__ import annotations

from typing import Any

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Approve, Complete, Refuse
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content

Spoken = Approve | Refuse | Complete


def dump(call: Spoken) -> dict[str, Any]:
    """Return the JSON form of a call about one order."""
    match call:
        case Approve((content,), (seat,), (result,)):
            fields: dict[str, Any] = {"say": "approve", "seat": seat, "result": result.hex()}
        case Refuse(content, seat, reason, detail):
            fields = {"say": "refuse", "seat": seat, "reason": reason, "detail": detail.hex()}
        case Complete(content, outcome, close_out):
            fields = {"say": "complete", "outcome": int(outcome), "closeOut": close_out.hex()}
        case _:
            raise errors.BadAnswer("Batches are not signed here.")
    return {**fields, "content": content.as_json()}


def load(fields: dict[str, Any]) -> Spoken:
    """Read the JSON form. Raise BrokenLog."""
    try:
        content = Content.from_json(fields["content"])
        match fields["say"]:
            case "approve":
                result = ids.ResultDigest(ids.parse32(fields["result"]))
                return Approve((content,), (fields["seat"],), (result,))
            case "refuse":
                return Refuse(
                    content, fields["seat"], fields["reason"], ids.parse32(fields["detail"])
                )
            case "complete":
                return Complete(
                    content, Outcome(fields["outcome"]), ids.parse32(fields["closeOut"])
                )
    except (AttributeError, KeyError, TypeError, ValueError, errors.UnknownField) as exc:
        raise errors.BrokenLog("Not a call.", cause=repr(exc)) from exc
    raise errors.BrokenLog("Not a call.", found=fields["say"])
