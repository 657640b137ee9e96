"""A simulated machining robot: four signals, one sample a minute, nominal or with one of four faults.

Signals and units, with the couplings that a spindle has:

* `speed` (rpm): the set point, 12 000 or 9 000 by job, with slow control noise.
* `friction` (N.cm): load torque; follows the speed weakly, tool and bearing strongly.
* `drill_temp` (degC): a first-order lag (8 min) towards cooling water + friction power.
* `water_temp` (degC): a first-order lag (30 min) towards 18 degC plus the heat it takes away.

Noise is AR(1), so a window is not a heap of independent samples. All of it from one seed (PCG64):
the same seed gives the same bytes on every machine that rounds IEEE doubles.

Faults begin at `onset` and grow for an hour: `bearing-wear` raises friction and its spread,
`cooling-loss` lets the water warm up, `dull-tool` raises friction with the load, `spindle-drag`
lets the speed sag while friction rises.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

import numpy as np
from numpy.typing import NDArray

COLUMNS: Final = ("speed", "drill_temp", "friction", "water_temp")
UNITS: Final = ("rpm", "Cel", "N.cm", "Cel")
FAULTS: Final = ("bearing-wear", "cooling-loss", "dull-tool", "spindle-drag")
PERIOD_SECONDS: Final = 60
WINDOW_MINUTES: Final = 120
GROWTH_MINUTES = 60.0
JOBS = (12_000.0, 9_000.0)
JOB_MINUTES = 45
WATER_SET, AMBIENT_GAIN = 18.0, 0.12
DRILL_LAG, WATER_LAG = 8.0, 30.0


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault at full growth: what it adds to which signal."""

    friction: float = 0.0
    friction_noise: float = 0.0
    load: float = 0.0
    water: float = 0.0
    sag: float = 0.0


NOMINAL = Fault()
EFFECTS: Final = {
    "bearing-wear": Fault(friction=9.0, friction_noise=3.0),
    "cooling-loss": Fault(water=2.5),
    "dull-tool": Fault(load=0.25),
    "spindle-drag": Fault(friction=6.0, sag=0.08),
}


def record(
    *, seed: int, minutes: int = WINDOW_MINUTES, fault: str | None = None, onset: int = 20
) -> NDArray[np.float64]:
    """Return `minutes` samples, shape (minutes, 4), columns as COLUMNS, units as UNITS."""
    rng = np.random.Generator(np.random.PCG64(seed))
    effect = EFFECTS[fault] if fault else NOMINAL
    speed_noise, torque_noise = _ar1(rng, minutes, 25.0, 0.8), _ar1(rng, minutes, 1.2, 0.6)
    extra_noise, phase = rng.normal(size=minutes), int(rng.integers(2 * JOB_MINUTES))
    drill, water, rows = 42.0, WATER_SET, []
    for minute in range(minutes):
        grown = min(max((minute - onset) / GROWTH_MINUTES, 0.0), 1.0)
        base = JOBS[(minute + phase) // JOB_MINUTES % len(JOBS)]
        speed = base * (1 - effect.sag * grown) + speed_noise[minute]
        torque = (40.0 + 15.0 * base / JOBS[0]) * (1 + effect.load * grown) + torque_noise[minute]
        torque += grown * (effect.friction + effect.friction_noise * extra_noise[minute])
        power = speed * torque / 60_000.0
        water += (WATER_SET + effect.water * grown + AMBIENT_GAIN * power - water) / WATER_LAG
        drill += (water + 2.2 * power - drill) / DRILL_LAG
        rows.append((speed, drill, torque, water + rng.normal(scale=0.05)))
    return np.array(rows)


def csv_bytes(samples: NDArray[np.float64], start: datetime) -> bytes:
    """Write samples as CSV: a time stamp and four columns, three decimals, as a logger would."""
    lines = ["time," + ",".join(COLUMNS)]
    for index, row in enumerate(samples):
        at = (start + timedelta(seconds=PERIOD_SECONDS * index)).astimezone(UTC)
        lines.append(f"{at:%Y-%m-%dT%H:%M:%SZ}," + ",".join(f"{value:.3f}" for value in row))
    return ("\n".join(lines) + "\n").encode()


def _ar1(
    rng: np.random.Generator, count: int, deviation: float, memory: float
) -> NDArray[np.float64]:
    """Return AR(1) noise of a given standard deviation."""
    steps = rng.normal(scale=deviation * np.sqrt(1 - memory**2), size=count)
    noise, last = np.empty(count), 0.0
    for index, step in enumerate(steps):
        last = memory * last + step
        noise[index] = last
    return noise
