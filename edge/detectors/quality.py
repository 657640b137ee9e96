"""How good the robot's detector is: simulated runs that it was not trained on, of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from edge import simulate
from edge.detectors.run import Detector

FIRST_SEED = 10_000_000  # far from those of the training
START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Quality:
    """What came of the runs of one kind. `named`: alarms that named the fault that was there."""

    kind: str
    runs: int
    alarms: int
    named: int

    @property
    def rate(self) -> float:
        """Return alarms per run: detection of a fault, false alarms where there is none."""
        return self.alarms / self.runs


def measure(detector: Detector, runs: int) -> Iterator[Quality]:
    """Yield the quality on nominal runs, then on each fault; always the same runs."""
    for index, fault in enumerate((None, *simulate.FAULTS)):
        found = [
            detector.run(recording(FIRST_SEED + index * runs + run, fault)) for run in range(runs)
        ]
        alarms = [scored for scored in found if scored.quantised > detector.card.threshold]
        named = sum(scored.failure_mode == fault for scored in alarms)
        yield Quality(fault or "nominal", runs, len(alarms), named)


def recording(seed: int, fault: str | None) -> bytes:
    """Return a run as the file that a logger would write."""
    return simulate.csv_bytes(simulate.record(seed=seed, fault=fault), START)
