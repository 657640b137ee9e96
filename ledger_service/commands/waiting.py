"""Orders that wait: whose approval is missing, and since when. The chain says it, not a copy."""

from __future__ import annotations

from datetime import datetime

from ledger_service import ports
from ledger_service.commands.findings import Finding
from ledger_service.domain.facts import OrderWord, Version
from ledger_service.domain.lifecycle import Status
from ledger_service.domain.records import Order

#: An agent needs seconds; a person, some minutes. Beyond that somebody should look.
WAITS_SECONDS = 60
LONG_SECONDS = 600
#: So many are named, the oldest; more of them say no more.
NAMED = 5
MOST = 1000


async def look_at_waiting(store: ports.Store, ledger: ports.Ledger, now: datetime) -> list[Finding]:
    """Say which open orders wait for whom. Raise ChainError."""
    async with store.reading() as rows:
        opened = await rows.orders.opened(MOST)
    waiting: list[Finding] = []
    for order in opened[:NAMED]:
        word = await ledger.word(order.id)
        age = int(now.timestamp()) - word.proposed_at
        if word.status is Status.PROPOSED and age >= WAITS_SECONDS:
            version = await ledger.version(order.content.asset_version)
            waiting.append(_waits(order, word, version, age))
    if waiting and len(opened) > NAMED:
        more = f"{len(opened) - NAMED} more are open; `mol order list --status Proposed`"
        waiting.append(Finding("orders", ok=True, text=more))
    return waiting or [Finding("orders", ok=True, text="none waits for an approval")]


def _waits(order: Order, word: OrderWord, version: Version | None, age: int) -> Finding:
    seats = version.seats if version else ()
    missing = [str(number) for seat, number in enumerate(seats) if not word.approved >> seat & 1]
    who = f"organisation{'s' * (len(missing) > 1)} {', '.join(missing)}"
    return Finding(
        "orders",
        ok=age < LONG_SECONDS,
        text=f"order {order.id.hex()[:12]}… waits for {who} since {age // 60} min",
        todo="there: `mol agent status`, `mol agent pending`",
    )
