"""Refusals that wait for their order's proposal: who was only told of an order signs nothing against it.

In memory alone: after a restart an order that is proposed is learned from the chain, and judged anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.statement import Statement
from validators.rules.case import Refusal

MOST = 1000
FOR = timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class HeldRefusal:
    """A refusal that is not signed yet. `claim`: the statement, once its signature held."""

    refusal: Refusal
    claim: Statement | None
    until: datetime


class Held:
    """At most a thousand of them, each for ten minutes; the oldest go first."""

    def __init__(self, clock: ports.Clock) -> None:
        self._clock = clock
        self._held: dict[ids.OrderId, HeldRefusal] = {}

    def __len__(self) -> int:
        return len(self._held)

    def put(self, order: ids.OrderId, refusal: Refusal, claim: Statement | None) -> None:
        """Hold a refusal."""
        now = self._clock.now()
        while self._held and (len(self._held) >= MOST or self._oldest().until <= now):
            del self._held[next(iter(self._held))]
        self._held[order] = HeldRefusal(refusal, claim, now + FOR)

    def get(self, order: ids.OrderId) -> HeldRefusal | None:
        """Return what is held of an order."""
        held = self._held.get(order)
        return held if held is not None and held.until > self._clock.now() else None

    def drop(self, order: ids.OrderId) -> None:
        """Let go of it."""
        self._held.pop(order, None)

    def _oldest(self) -> HeldRefusal:
        return next(iter(self._held.values()))
