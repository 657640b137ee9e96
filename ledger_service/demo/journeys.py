"""Watching pieces of evidence to their end, through the API as any client would."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx

from ledger_service.domain import errors

POLL_SECONDS = 0.1
ENDS = frozenset({"Validated", "Refused", "Expired", "Withdrawn", "Failed"})
TOLD = {"Validated": 4, "Refused": 2}


class NotAsExpected(errors.LedgerError):
    """An order did not reach the end that was expected of it."""

    code = "DE01"


@dataclass
class Journey:
    """One piece of evidence on its way. `expected` is the state it must end in."""

    evidence: str
    title: str
    asset: str
    expected: str
    claimed: int
    posted: float
    state: str = "Sealed"
    tracker: dict[str, Any] = field(default_factory=dict)
    order: dict[str, Any] = field(default_factory=dict)

    @property
    def delivered(self) -> bool:
        """Say whether every destination that is to hear of the end has heard of it."""
        done = [item for item in self.order.get("deliveries", []) if item["state"] == "done"]
        return len(done) >= TOLD.get(self.state, 0)

    @property
    def ended(self) -> bool:
        """Say whether nothing more is to come: state, destinations, and all result documents."""
        if self.state not in ENDS:
            return False
        opened = all(approval["class"] for approval in self.order.get("approvals", []))
        return self.state == "Failed" or (self.delivered and opened)

    @property
    def seconds(self) -> float | None:
        """Return seconds from sealed to the end, by the service's clock."""
        hops = {hop["name"]: datetime.fromisoformat(hop["at"]) for hop in self.tracker["hops"]}
        end = hops.get(self.state.lower())
        return (end - hops["sealed"]).total_seconds() if end else None


async def watch(
    client: httpx.AsyncClient,
    journeys: Sequence[Journey],
    tell: Callable[[Journey], None],
    *,
    seconds: float,
) -> None:
    """Follow all journeys to their ends; `tell` is called at each change of state.

    A service that is just being restarted is asked again. Raise NotAsExpected when time is up.
    """
    deadline = time.monotonic() + seconds
    open_ones = list(journeys)
    while open_ones:
        if time.monotonic() > deadline:
            late = ", ".join(f"{j.title}: {j.state}" for j in open_ones)
            raise NotAsExpected("Not all ended in time.", seconds=seconds, open=late)
        for journey in open_ones:
            before = journey.state
            await _look(client, journey)
            if journey.state != before:
                tell(journey)
        open_ones = [journey for journey in open_ones if not journey.ended]
        await asyncio.sleep(POLL_SECONDS)


def check(journeys: Sequence[Journey]) -> None:
    """Raise NotAsExpected unless each journey ended as expected."""
    wrong = [j for j in journeys if j.state != j.expected]
    if wrong:
        found = ", ".join(f"{j.title}: {j.state} {j.tracker.get('reason', '')}" for j in wrong)
        raise NotAsExpected(found=found, expected=", ".join(j.expected for j in wrong))


async def _look(client: httpx.AsyncClient, journey: Journey) -> None:
    try:
        answer = await client.get(f"/v1/evidence/{journey.evidence}")
        answer.raise_for_status()
        journey.tracker = answer.json()
        orders = journey.tracker["orders"]
        if orders:
            order = await client.get(f"/v1/orders/{orders[-1]['orderId']}")
            order.raise_for_status()
            journey.order = order.json()
    except httpx.HTTPError:
        return  # the service is away for a moment: asked again
    journey.state = journey.tracker["state"]
