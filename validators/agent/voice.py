"""The calls that an agent may sign, and their JSON form in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Approve, Complete, Refuse
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content
from ledger_service.domain.result import result_digest

Spoken = Approve | Refuse | Complete


def dump(call: Spoken) -> dict[str, Any]:
    """Return the JSON form of a call: about one order, or a batch of approvals."""
    match call:
        case Approve((content,), (seat,), (result,)):
            fields: dict[str, Any] = {"say": "approve", "seat": seat, "result": result.hex()}
        case Approve(contents, seats, results):
            return {
                "say": "approve together",
                "contents": [content.as_json() for content in contents],
                "seats": list(seats),
                "results": [result.hex() for result in results],
            }
        case Refuse(content, seat, reason, detail):
            fields = {"say": "refuse", "seat": seat, "reason": reason, "detail": detail.hex()}
        case Complete(content, outcome, close_out):
            fields = {"say": "complete", "outcome": int(outcome), "closeOut": close_out.hex()}
    return {**fields, "content": content.as_json()}


def load(fields: dict[str, Any]) -> Spoken:
    """Read the JSON form. Raise BrokenLog."""
    try:
        if fields["say"] == "approve together":
            return _together(fields)
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


def approve(entries: Sequence[dict[str, Any]]) -> Approve:
    """Return the call that says these verdicts of the journal, one or more approvals of ours."""
    documents = [entry["result"].encode() for entry in entries]
    return Approve(
        tuple(Content.from_json(entry["content"]) for entry in entries),
        tuple(entry["seat"] for entry in entries),
        tuple(result_digest(document) for document in documents),
    )


def singly(fields: dict[str, Any]) -> Sequence[Spoken]:
    """Return a signed call's orders, each as a call of its own. Raise BrokenLog."""
    match load(fields):
        case Approve(contents, seats, results):
            each = zip(contents, seats, results, strict=True)
            return [Approve((content,), (seat,), (result,)) for content, seat, result in each]
        case call:
            return [call]


def _together(fields: dict[str, Any]) -> Approve:
    results = [ids.ResultDigest(ids.parse32(result)) for result in fields["results"]]
    contents = tuple(Content.from_json(content) for content in fields["contents"])
    return Approve(contents, tuple(fields["seats"]), tuple(results))
