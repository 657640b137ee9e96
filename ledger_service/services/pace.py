"""How often things are tried: the pauses of one delivery, and when a destination is left alone. Pure."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from ledger_service.domain import errors
from ledger_service.domain.records import Circuit


@dataclass(frozen=True, slots=True)
class Pace:
    """What a relay may do at once, and how long it waits.

    `hands`: deliveries under way at once. `lease`: how long a process that says nothing keeps what
    it took on. `failures`: so many in a row, and the destination is left alone.
    """

    hands: int = 32
    lease: timedelta = timedelta(seconds=15)
    answer_seconds: float = 30.0
    stop_seconds: float = 3.0
    first_pause: timedelta = timedelta(seconds=1)
    longest_pause: timedelta = timedelta(hours=6)
    failures: int = 5
    longest_silence: timedelta = timedelta(minutes=1)

    def pause(self, attempts: int, asked: timedelta = timedelta(0)) -> timedelta:
        """Return the pause of a delivery after its n-th attempt: doubled each time, jittered.

        Never shorter than the destination asked for, never longer than the longest.
        """
        own = _doubled(self.first_pause, attempts - 1, self.longest_pause)
        return max(own, min(asked, self.longest_pause))

    def silence(self, failures: int, asked: timedelta) -> timedelta:
        """Return how long a destination is left alone after so many failures in a row."""
        own = _doubled(self.first_pause, failures - self.failures, self.longest_silence)
        return max(own, min(asked, self.longest_pause))


@dataclass(frozen=True, slots=True)
class Trial:
    """What a delivery says of its destination: answered, or why not, and the pause it asks for."""

    began: datetime
    answered: bool
    reason: str = ""
    asked: timedelta = timedelta(0)


def asked_by(error: errors.DestinationDown) -> timedelta:
    """Return for how long a destination asked to be left alone; zero if it did not say."""
    seconds = error.fields.get("retry_after")
    return timedelta(seconds=seconds) if isinstance(seconds, int | float) else timedelta(0)


def judged(
    circuit: Circuit | None, destination: str, trials: Iterable[Trial], now: datetime, pace: Pace
) -> Circuit | None:
    """Return what is known of the destination after these trials, in order; None: it answers.

    What was under way when it was decided to leave it alone says nothing of the time since.
    """
    for trial in trials:
        if circuit and circuit.held_at and trial.began < circuit.held_at:
            continue
        known = circuit or Circuit(destination, 0, now)
        circuit = None if trial.answered else _failed(known, trial, now, pace)
        if circuit and circuit.until and circuit != known:
            break
    return circuit


def _failed(known: Circuit, trial: Trial, now: datetime, pace: Pace) -> Circuit:
    counted = replace(known, failures=known.failures + 1, reason=trial.reason)
    if counted.failures < pace.failures and not trial.asked:
        return counted
    until = now + pace.silence(counted.failures, trial.asked)
    return replace(counted, held_at=now, until=until)


def _doubled(first: timedelta, times: int, longest: timedelta) -> timedelta:
    whole = min(first.total_seconds() * 2.0 ** min(max(times, 0), 30), longest.total_seconds())
    return timedelta(seconds=whole * random.uniform(0.5, 1))  # noqa: S311  spreads, no secret
