"""Relay: each destination gets each fact once in effect, an order's facts in chain order."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import timedelta

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.records import Delivery, Hop

BATCH = 16
LEASE = timedelta(seconds=90)
DELIVER_SECONDS = 30.0
MAX_PAUSE = timedelta(minutes=5)

log = structlog.get_logger()


class Relay:
    """Delivers to one destination."""

    def __init__(
        self, *, store: ports.Store, destination: ports.Destination, clock: ports.Clock
    ) -> None:
        self._store = store
        self._destination = destination
        self._clock = clock
        self._owner = uuid.uuid4().hex

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    async def step(self) -> bool:
        """Deliver what is due; say whether there was anything."""
        now = self._clock.now()
        async with self._store.transaction() as rows:
            claimed = await rows.outbox.claim(self.name, self._owner, now, now + LEASE, BATCH)
        await asyncio.gather(*(self._deliver(item) for item in claimed))
        return bool(claimed)

    async def _deliver(self, item: Delivery) -> None:
        try:
            reference = await asyncio.wait_for(
                self._destination.deliver(item), timeout=DELIVER_SECONDS
            )
        except errors.DestinationRefused as exc:
            await self._block(item, str(exc))
        except (errors.LedgerError, TimeoutError) as exc:
            await self._later(item, str(exc) or "No answer in time.")
        except Exception as exc:  # a bug of an adapter: the row comes back, its neighbours go on
            log.exception("delivery failed", destination=self.name, delivery=item.dedup)
            await self._later(item, repr(exc))
        else:
            await self._done(item, reference)

    async def _done(self, item: Delivery, reference: dict[str, object]) -> None:
        async with self._store.transaction() as rows:
            if await rows.outbox.done(item.dedup, self._owner, reference):
                await rows.evidence.hop(self._hop(item, "done"))

    async def _later(self, item: Delivery, reason: str) -> None:
        due = self._clock.now() + backoff(item.attempts)
        log.warning("not delivered", destination=self.name, delivery=item.dedup, why=reason)
        async with self._store.transaction() as rows:
            if await rows.outbox.retry(item.dedup, self._owner, due, reason):
                await rows.evidence.hop(self._hop(item, f"will be tried again: {reason}"))

    async def _block(self, item: Delivery, reason: str) -> None:
        log.error("refused, a person must look", destination=self.name, delivery=item.dedup)
        async with self._store.transaction() as rows:
            if await rows.outbox.block(item.dedup, self._owner, reason):
                await rows.evidence.hop(self._hop(item, f"blocked: {reason}"))

    def _hop(self, item: Delivery, detail: str) -> Hop:
        evidence = ids.EvidenceId(bytes.fromhex(item.payload["evidence"]))
        name = f"{self.name}: {item.payload['status'].lower()}"
        return Hop(evidence, name, self._clock.now(), detail=detail)


def backoff(attempts: int) -> timedelta:
    """Return the pause after the n-th attempt: from half a second, doubled, to five minutes, jittered."""
    seconds = 0.5 * 2 ** min(attempts, 12)
    jitter = random.uniform(0.5, 1)  # noqa: S311  spreads retries, no secret
    return min(timedelta(seconds=seconds), MAX_PAUSE) * jitter
