"""The outbox as `mol relay status` and `mol doctor` tell it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from ledger_service import ports
from ledger_service.commands.findings import Finding
from ledger_service.commands.show import table
from ledger_service.domain.records import Circuit, Delivery, DeliveryState

SHOWN = 100
COLUMNS = (
    "destination",
    *(state.value for state in DeliveryState),
    "paused",
    "circuit",
    "oldestSeconds",
)


async def standing(rows: ports.Transaction, now: datetime) -> list[dict[str, Any]]:
    """Return each destination with its counts, whether it is left alone, and what is blocked."""
    counts, paused, oldest = (
        await rows.outbox.counts(),
        await rows.outbox.paused(),
        await rows.outbox.oldest(),
    )
    circuits = {item.destination: item for item in await rows.circuits.all()}
    blocked = await rows.outbox.blocked(SHOWN)
    names = sorted({name for name, _ in counts} | paused | circuits.keys())
    return [
        {
            "destination": name,
            **{state.value: counts.get((name, state.value), 0) for state in DeliveryState},
            "paused": name in paused,
            **_circuit(circuits.get(name), now),
            "oldestSeconds": round((now - oldest[name]).total_seconds())
            if name in oldest
            else None,
            "blockedDeliveries": [_blocked(item) for item in blocked if item.destination == name],
        }
        for name in names
    ]


def print_standing(found: Sequence[Mapping[str, Any]]) -> None:
    """Print what `standing` described; ids are to be copied, so each stands on a line of its own."""
    table("Outbox", COLUMNS, [[_cell(row[name]) for name in COLUMNS] for row in found])
    for row in found:
        if row["circuit"] != "closed":
            print(f"{row['destination']}: {_silence(row)}")
        for item in row["blockedDeliveries"]:
            print(f"blocked  {row['destination']}  {item['id']}\n         {item['reason']}")
    if any(row["blocked"] for row in found):
        print("Mend the cause, then `mol relay retry DESTINATION`; or `mol relay give-up`.")


def outbox_finding(found: Sequence[Mapping[str, Any]]) -> Finding:
    """Judge what `standing` described."""
    wrong, todo = [], []
    for row in found:
        name = row["destination"]
        if row["blocked"]:
            wrong.append(f"{name}: {row['blocked']} blocked")
            todo.append("`mol relay status`, mend the cause, `mol relay retry DESTINATION`")
        if row["circuit"] != "closed":
            wrong.append(f"{name}: {_silence(row)}")
            todo.append("bring the destination back; what waits goes out by itself")
    halted = [f"{row['destination']} is paused" for row in found if row["paused"]]
    text = "; ".join([*wrong, *halted]) or "nothing is blocked"
    return Finding("outbox", ok=not wrong, text=text, todo="; ".join(dict.fromkeys(todo)))


def _silence(row: Mapping[str, Any]) -> str:
    return f"{row['failures']} failure(s) in a row, left alone until {row['until']}: {row['why']}"


def _circuit(item: Circuit | None, now: datetime) -> dict[str, Any]:
    until = item.until if item else None
    state = "closed" if until is None else "open" if until > now else "half-open"
    return {
        "circuit": state,
        "failures": item.failures if item else 0,
        "until": until and until.isoformat(timespec="seconds"),
        "why": item.reason if item else "",
    }


def _blocked(item: Delivery) -> dict[str, Any]:
    return {"id": item.dedup, "order": item.key, "kind": item.kind, "reason": item.reason}


def _cell(value: object) -> object:
    return "" if value is None else value
