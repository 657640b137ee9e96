"""How an agent's matters look: plain lines for people, JSON for machines.

Texts come from documents that somebody else wrote: what could move a terminal's cursor, or turn the
direction of writing, is shown as a mark and never sent.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from ledger_service.domain import ids, profile
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.result import Reason
from ledger_service.domain.units import amount, format_time
from validators.journal.memory import Memory
from validators.rules.case import Case

MARK = "\ufffd"
WIDTH = 18
PENDING = ("order", "asset", "failureMode", "cost", "currency", "why", "at", "deadline", "gap")


def plain(value: object) -> str:
    """Return a value as one line without control or formatting characters."""
    return "".join(c if c.isprintable() else MARK for c in str(value))


def case(found: Case) -> dict[str, Any]:
    """Return what a person signs: all of it recomputed here."""
    content, document, claim = found.content, found.document, found.claim
    return {
        "asset": claim.asset,
        "failure mode": claim.failure_mode,
        "our diagnosis": found.diagnosis,
        "window": f"{format_time(claim.window.start)} to {format_time(claim.window.end)}",
        "score claimed": profile.points(found.claimed),
        "score recomputed": profile.points(found.recomputed),
        "threshold": str(claim.threshold.decimal()),
        "class": found.agreement.value,
        "work": document.title,
        "tasks": [f"{task.description} ({task.minutes} min)" for task in document.tasks],
        "parts": [
            f"{part.quantity} {part.unit} {part.number} {part.description} at "
            f"{amount(part.unit_price, document.cost.currency)}"
            for part in document.parts
        ],
        "supplier": f"{document.supplier.id} {document.supplier.name}",
        "cost": {"amount": content.cost, "currency": document.cost.currency},
        "deadline": format_time(datetime.fromtimestamp(content.deadline, UTC)),
        "attempt": content.attempt,
        "evidence": content.evidence.hex(),
        "dataset root": content.dataset_root.hex(),
        "order digest": content.order_digest.hex(),
        "asset version": content.asset_version.hex(),
        "detector": content.detector.hex(),
        "builder": ids.checksum(content.builder),
    }


def record(memory: Memory, order: ids.OrderId) -> dict[str, Any]:
    """Return what the journal knows of an order."""
    fields: dict[str, Any] = {"order": order.hex()}
    verdict = memory.verdicts.get(order)
    if verdict is not None:
        names = ("verdict", "by", "at", "reason", "text", "score", "class", "gap", "content")
        fields |= {name: verdict[name] for name in names if name in verdict}
    if order in memory.pending:
        fields |= {name: memory.pending[order].get(name) for name in (*PENDING, "declined")}
    if order in memory.to_complete():
        fields["end of work"] = ending(memory.work[order])
    if order in memory.late:
        fields |= late(memory.late[order])
    if order in memory.closed:
        fields["closed"] = memory.closed[order]
    fields["not mined"] = [s.purpose for s in memory.unmined.values() if order in s.orders]
    fields["taken by no node"] = [e["why"] for key, e in memory.stuck.items() if key[1] == order]
    fields["failures"] = [e["why"] for e in memory.failures if e["order"] == order.hex()]
    return fields


def fields(values: Mapping[str, Any], *, as_json: bool, indent: str = "") -> None:
    """Print names and values, lists and objects below their name."""
    if as_json:
        print(json.dumps(values, indent=2, default=str))
        return
    for name, value in values.items():
        match value:
            case {"amount": int(minor), "currency": str(currency)}:
                print(f"{indent}{name:{WIDTH}} {plain(amount(minor, currency))}")
            case dict():
                print(f"{indent}{name}")
                fields(value, as_json=False, indent=indent + "  ")
            case list():
                print(f"{indent}{name:{WIDTH}} {'' if value else '-'}")
                for item in value:
                    print(f"{indent}  - {plain(item)}")
            case int() if name == "score":
                print(f"{indent}{name:{WIDTH}} {profile.points(value)}")
            case int() if name == "cost":  # a content's, which knows no currency
                print(f"{indent}{name:{WIDTH}} {value} (minor units)")
            case _:
                print(f"{indent}{name:{WIDTH}} {plain(value)}")


def ending(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return a close-out as a person sees it before it is signed."""
    return {
        "order": entry["order"],
        "outcome": Outcome(entry["outcome"]).name.lower().replace("_", " "),
        "report": entry["report"],
        "bytes": entry["size"],
        "SHA-256": entry["closeOut"],
        "at": entry["at"],
    }


def late(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return an order that cannot be approved in time as a person sees it."""
    return {
        "order": entry["order"],
        "too late": entry["why"],
        "at": entry["at"],
        "deadline": format_time(datetime.fromtimestamp(entry["deadline"], UTC)),
    }


def pending(memory: Memory, *, as_json: bool) -> None:
    """Print the orders that wait for a person, the ends of work that do, and what comes too late."""
    names = (*PENDING, "declined")
    found = [{name: it.get(name) for name in names} for it in memory.pending.values()]
    ends = [ending(entry) for entry in memory.to_complete().values()]
    tardy = [late(entry) for entry in memory.late.values()]
    if as_json:
        print(json.dumps([*found, *ends, *tardy], indent=2))
        return
    if not found and not ends:
        print("no order waits for a person")
    for entry in tardy:
        print(plain(f"{entry['order']}  too late, until {entry['deadline']}"))
        print(plain(f"    since {entry['at']}: {entry['too late']}"))
    for entry in ends:
        print(plain(f"{entry['order']}  the work is said to have ended: {entry['outcome']}"))
        print(plain(f"    since {entry['at']}: {entry['bytes']} bytes, {entry['report']}"))
    for entry in found:
        print(
            plain(
                f"{entry['order']}  {entry['asset']}  {entry['failureMode']}  "
                f"{amount(entry['cost'], entry['currency'])}  until {entry['deadline']}"
            )
        )
        print(plain(f"    since {entry['at']}: {entry['why']}"))
        if entry["declined"]:
            print(plain(f"    not signed when decided: {entry['declined']}"))


def status(memory: Memory, *, running: bool, as_json: bool) -> None:
    """Print what was done and what waits."""
    said = Counter(entry["verdict"] for entry in memory.verdicts.values())
    reasons = Counter(
        Reason[entry["reason"]].title for entry in memory.verdicts.values() if "reason" in entry
    )
    fields(
        {
            "running": running,
            "approved": said["approve"],
            "refused": said["refuse"],
            "reasons": dict(reasons),
            "waiting for a person": len(memory.pending),
            "not judged yet": len(memory.open),
            "too late": len(memory.late),
            "decided, not signed yet": len(memory.decided),
            "not mined yet": len(memory.unmined),
            "results to hand in": len(memory.results),
            "copies to fetch anew": len(memory.copies),
            "close-outs to sign": len(memory.work),
            "feed read to": memory.feed,
            "block read to": memory.block,
            "taken by no node": [f"{e['order'][:12]} {e['why']}" for e in memory.stuck.values()],
            "failures": [f"{e['order'][:12]} {e['why']}" for e in memory.failures],
        },
        as_json=as_json,
    )
