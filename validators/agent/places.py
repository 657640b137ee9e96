"""Where we stand with an order: our seat, and whether there is still something to say."""

from __future__ import annotations

import asyncio

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.domain.calls import Propose
from ledger_service.domain.lifecycle import SETTLED, Status
from ledger_service.domain.order import Content
from validators.agent.entries import Place
from validators.agent.registry import Registry
from validators.rules.case import Announced, CannotSay


class Places:
    """One organisation's places."""

    def __init__(
        self, *, organisation: int, ledger: ports.Ledger, registry: Registry, clock: ports.Clock
    ) -> None:
        self._organisation = organisation
        self._ledger = ledger
        self._registry = registry
        self._clock = clock

    async def find(self, item: Announced) -> Place:
        """Find our place; if we did not speak yet, demand that we still may. Raise CannotSay.

        An order that is not proposed must be one that its builder could propose now.
        """
        version, word, bar = await asyncio.gather(
            self._registry.version(item.content.asset_version),
            self._ledger.word(item.order),
            self._bar(item.content),
        )
        if version is None:
            raise CannotSay("Our node knows no such asset version.", later=True)
        if self._organisation not in version.seats:
            raise CannotSay("We have no seat.", later=False)
        place = Place(version.seats.index(self._organisation), word)
        if place.spoken:
            return place
        if word.status in SETTLED:
            raise CannotSay(f"It is {word.status.title}.", later=False)
        emergency = word.status is Status.EMERGENCY  # may be ratified after the deadline too
        if not emergency and item.content.deadline <= self._clock.now().timestamp():
            raise CannotSay("Its deadline has passed.", later=False)
        if not place.proposed and bar is not None:
            raise CannotSay(f"It cannot be proposed. {bar}", later=bar.fields["why"] != "TooFar")
        return place

    async def _bar(self, content: Content) -> errors.CallReverted | None:
        """Return why its builder could not propose it now: no builder, another attempt, no detector."""
        try:
            await self._ledger.simulate(Propose((content,)), content.builder)
        except errors.CallReverted as exc:
            return exc
        return None
