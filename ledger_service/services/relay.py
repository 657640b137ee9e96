"""Relay: each destination gets each fact once in effect, an order's facts in chain order."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.records import Circuit, Delivery, DeliveryState, Hop, Outcome
from ledger_service.services.due import Due
from ledger_service.services.pace import Pace, Trial, asked_by, judged
from ledger_service.services.wakes import Wake, ring_or_done

LOOK_SECONDS = 0.25
PRUNE = 500
#: A lease is renewed when a third of it has passed: two renewals may fail.
RENEWALS = 3

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Landing:
    """A delivery that ended: what is to be written, and what it says of the destination."""

    item: Delivery
    outcome: Outcome
    trial: Trial | None = None
    told: str = ""


class Relay:
    """Delivers to one destination, many orders at once, each order's facts one by one.

    What ended is kept here until the database has it. One transaction writes all that ended
    meanwhile, renews the leases of what is still under way, and takes on as much as hands are free.
    """

    def __init__(
        self,
        *,
        store: ports.Store,
        destination: ports.Destination,
        clock: ports.Clock,
        wake: Wake | None = None,
        pace: Pace | None = None,
        due: Due | None = None,
    ) -> None:
        """`due`: what looks for all relays of this process; None: for this one alone."""
        self._store = store
        self._destination = destination
        self._clock = clock
        self._wake = wake or Wake()
        self._pace = pace or Pace()
        self._due = due or Due(store, clock, [destination.name])
        self._claims = itertools.count(1)
        self._process = uuid.uuid4().hex
        self._flying: dict[asyncio.Task[Landing], Delivery] = {}
        self._landed: list[Landing] = []
        self._renew_at = clock.now()

    @property
    def name(self) -> str:
        """Return the destination's name."""
        return self._destination.name

    async def step(self) -> bool:
        """Write down what ended, take on what is due, wait until something ends or is added.

        False: nothing is under way and nothing is due. Raise StorageError; then nothing that ended
        is forgotten, a later step writes it.
        """
        bell = self._wake.listen()
        await self._account()
        if not self._flying:
            return False
        await ring_or_done(bell, self._flying, LOOK_SECONDS)
        self._collect()
        return True

    async def stop(self) -> None:
        """Wait a little for what is under way, write down what ended, give the rest back."""
        if self._flying:
            await asyncio.wait(self._flying, timeout=self._pace.stop_seconds)
        self._collect()
        for task, item in self._flying.items():
            task.cancel()
            due = self._clock.now()
            self._landed.append(Landing(item, _waits(item, due, due, "the relay was stopped")))
        await asyncio.gather(*self._flying, return_exceptions=True)
        self._flying.clear()
        with contextlib.suppress(errors.StorageError):  # then the leases run out
            async with self._store.transaction() as rows:
                await self._write(rows, tuple(self._landed), self._clock.now())

    async def _account(self) -> None:
        free = self._pace.hands - len(self._flying)
        must = self._landed or self._must_renew()
        if not must and not (free and await self._due.at(self.name)):
            return
        now, renewing = self._clock.now(), self._must_renew()
        kept: frozenset[str] | None = None
        async with self._store.transaction() as rows:
            if renewing:
                held = {item.dedup: item.owner for item in self._flying.values()}
                kept = await rows.outbox.renew(held, now + self._pace.lease)
            circuit = await self._write(rows, tuple(self._landed), now)
            claimed = await self._claim(rows, circuit, now, free)
        self._landed.clear()
        if kept is not None:
            self._let_go(kept)
        if renewing or len(self._flying) == 0:
            self._renew_at = now + self._pace.lease / RENEWALS
        for item in claimed:
            self._flying[asyncio.create_task(self._try(item, now + self._pace.lease))] = item

    def _must_renew(self) -> bool:
        return bool(self._flying) and self._clock.now() >= self._renew_at

    async def _claim(
        self, rows: ports.Transaction, circuit: Circuit | None, now: datetime, free: int
    ) -> Sequence[Delivery]:
        held = circuit is not None and circuit.until is not None
        if circuit and circuit.until and circuit.until > now:
            return []
        most = min(free, 1) if held else free  # one shows whether it is back
        if most <= 0:
            return []
        owner = f"{self._process}:{next(self._claims)}"
        until = now + self._pace.lease
        claimed = await rows.outbox.claim(self.name, owner, now, until, most)
        if circuit and held and claimed:
            wait = max(self._pace.lease, timedelta(seconds=self._pace.answer_seconds))
            await rows.circuits.put(replace(circuit, held_at=now, until=now + wait))
        return claimed

    async def _try(self, item: Delivery, lease_until: datetime) -> Landing:
        began = self._clock.now()
        if began >= lease_until:  # this process stood still; somebody else may have it by now
            outcome = _waits(item, began, began, "", tried=False)
            return Landing(item, outcome)
        try:
            async with asyncio.timeout(self._pace.answer_seconds):
                reference = await self._destination.deliver(item)
        except errors.DestinationRefused as exc:
            return self._refused(item, began, str(exc))
        except errors.DestinationDown as exc:
            return self._later(item, str(exc), began, asked_by(exc))
        except TimeoutError:
            return self._later(item, "No answer in time.", began)
        except errors.LedgerError as exc:
            return self._later(item, str(exc))
        except Exception as exc:  # a bug of an adapter: the row comes back, its neighbours go on
            log.exception("delivery failed", destination=self.name, delivery=item.dedup)
            return self._later(item, repr(exc))
        return self._done(item, began, reference)

    def _done(self, item: Delivery, began: datetime, reference: dict[str, Any]) -> Landing:
        now = self._clock.now()
        outcome = Outcome(item.dedup, item.owner, DeliveryState.DONE, now, reference=reference)
        return Landing(item, outcome, Trial(began, answered=True), "done")

    def _refused(self, item: Delivery, began: datetime, why: str) -> Landing:
        log.error("refused, a person must look", destination=self.name, delivery=item.dedup)
        now = self._clock.now()
        outcome = Outcome(item.dedup, item.owner, DeliveryState.BLOCKED, now, reason=why)
        return Landing(item, outcome, Trial(began, answered=True), f"blocked: {why}")

    def _later(
        self,
        item: Delivery,
        why: str,
        began: datetime | None = None,
        asked: timedelta = timedelta(0),
    ) -> Landing:
        """`began`: when a destination was asked that did not answer; None: it is not its fault."""
        log.warning("not delivered", destination=self.name, delivery=item.dedup, why=why)
        now = self._clock.now()
        outcome = _waits(item, now, now + self._pace.pause(item.attempts, asked), why)
        trial = None if began is None else Trial(began, answered=False, reason=why, asked=asked)
        return Landing(item, outcome, trial, f"will be tried again: {why}")

    async def _write(
        self, rows: ports.Transaction, landed: Sequence[Landing], now: datetime
    ) -> Circuit | None:
        """Write what ended and is still ours; return what is known of the destination then."""
        if landed:
            ours = await rows.outbox.settle([landing.outcome for landing in landed])
            told = [
                hop_of(landing.item, landing.told, now)
                for landing, mine in zip(landed, ours, strict=True)
                if mine and landing.told
            ]
            await rows.evidence.hop(*told)
        before = await rows.circuits.get(self.name)
        trials = [landing.trial for landing in landed if landing.trial]
        after = judged(before, self.name, trials, now, self._pace)
        if after != before:
            await self._remember(rows, before, after)
        return after

    async def _remember(
        self, rows: ports.Transaction, before: Circuit | None, after: Circuit | None
    ) -> None:
        if after is not None:
            await rows.circuits.put(after)
            if after.until and not (before and before.until):
                log.error(
                    "a destination is left alone",
                    destination=self.name,
                    failures=after.failures,
                    until=after.until.isoformat(),
                    why=after.reason,
                )
            return
        await rows.circuits.drop(self.name)
        if before and before.until:
            freed = await rows.outbox.release(self.name, blocked=False)
            log.info("a destination is back", destination=self.name, waited=freed)

    def _let_go(self, kept: frozenset[str]) -> None:
        """End what was taken from us: somebody else delivers it."""
        for task, item in list(self._flying.items()):
            if item.dedup not in kept and not task.done():
                log.warning("the lease was lost", destination=self.name, delivery=item.dedup)
                task.cancel()

    def _collect(self) -> None:
        for task in [task for task in self._flying if task.done()]:
            item = self._flying.pop(task)
            if task.cancelled():
                log.info("let go", destination=self.name, delivery=item.dedup)
            else:
                self._landed.append(task.result())


async def prune(store: ports.Store, clock: ports.Clock, keep: timedelta) -> bool:
    """Drop payloads of deliveries that ended longer ago; say whether there may be more."""
    async with store.transaction() as rows:
        return await rows.outbox.prune(clock.now() - keep, PRUNE) == PRUNE


async def give_up(
    rows: ports.Transaction, destination: str, dedup: str, reason: str, now: datetime
) -> None:
    """End a delivery by a person's word; later ones of its order go on.

    Raise Conflict if it is over, under way, or not there.
    """
    item = await rows.outbox.give_up(destination, dedup, reason, now)
    if item is None:
        raise errors.Conflict("No delivery that waits has this id.", found=dedup)
    log.warning("given up", destination=destination, delivery=dedup, why=reason)
    await rows.evidence.hop(hop_of(item, f"given up by a person: {reason}", now))


def hop_of(item: Delivery, detail: str, now: datetime) -> Hop:
    """Return what the tracker shows of a delivery."""
    evidence = ids.EvidenceId(bytes.fromhex(item.payload["evidence"]))
    name = f"{item.destination}: {item.payload['status'].lower()}"
    return Hop(evidence, name, now, detail=detail)


def _waits(
    item: Delivery, now: datetime, due: datetime, why: str, *, tried: bool = True
) -> Outcome:
    return Outcome(
        item.dedup, item.owner, DeliveryState.PENDING, now, due=due, reason=why, tried=tried
    )
