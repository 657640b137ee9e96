"""Where we stand with an order: our seat, and whether there is still something to say."""

from __future__ import annotations

import asyncio
from datetime import datetime

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.calls import Propose
from ledger_service.domain.lifecycle import SETTLED, Status
from ledger_service.domain.order import Content
from validators.agent.entries import Place
from validators.agent.pace import Pace
from validators.agent.registry import Registry
from validators.rules.case import Announced, CannotSay, NotProposable, TooLate


class Places:
    """One organisation's places."""

    def __init__(
        self,
        *,
        organisation: int,
        ledger: ports.Ledger,
        registry: Registry,
        clock: ports.Clock,
        pace: Pace,
    ) -> None:
        self._organisation = organisation
        self._ledger = ledger
        self._registry = registry
        self._clock = clock
        self._pace = pace

    async def find(self, item: Announced) -> Place:
        """Find our place; if we did not speak yet, demand that we still may. Raise CannotSay.

        An order that is not proposed must be one that its builder could propose now.
        """
        version, word, bar, chain_time = await asyncio.gather(
            self._registry.version(item.content.asset_version),
            self._ledger.word(item.order),
            self._bar(item.content),
            self._registry.time(),
        )
        if version is None:
            raise CannotSay("Our node knows no such asset version.", later=True)
        if self._organisation not in version.seats:
            raise CannotSay("We have no seat.", later=False)
        place = Place(version.asset, version.seats.index(self._organisation), word)
        if place.spoken:
            return place
        if word.status in SETTLED:
            raise CannotSay(f"It is {word.status.title}.", later=False)
        if word.status is not Status.EMERGENCY:  # which may be ratified after the deadline too
            self._demand_time(item.content.deadline, chain_time)
        if not place.proposed and bar is not None:
            later = bar.fields["why"] != "TooFar"
            raise NotProposable(f"It cannot be proposed. {bar}", later=later, at=chain_time)
        return place

    def _demand_time(self, deadline: int, chain_time: datetime) -> None:
        """Demand that a verdict can be in time. Raise TooLate; for good only by the chain's own clock."""
        if deadline <= chain_time.timestamp():
            raise TooLate("Its deadline has passed.", later=False)
        left, needed = deadline - self._clock.now().timestamp(), self._pace.needed.total_seconds()
        if left <= needed:
            text = f"Its deadline is in {left:.0f} s, and a verdict takes {needed:.0f} s here."
            if left <= 0:
                text = "Its deadline has passed by our clock, and not yet by the chain's."
            raise TooLate(text, later=True)

    async def _bar(self, content: Content) -> errors.CallReverted | None:
        """Return why its builder could not propose it now: no builder, another attempt, no detector."""
        try:
            await self._ledger.simulate(Propose((content,)), content.builder)
        except errors.CallReverted as exc:
            return exc
        return None
