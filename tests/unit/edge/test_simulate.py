from __future__ import annotations

import hashlib
from datetime import UTC, datetime

import numpy as np
import pytest

from edge import simulate

START = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others() -> None:
    first, again, other = (
        simulate.csv_bytes(simulate.record(seed=seed), START) for seed in (1, 1, 2)
    )

    assert first == again != other
    assert hashlib.sha256(first).hexdigest()[:16] == "046c70051e07b99e"


def test_a_recording_has_four_signals_and_one_sample_a_minute() -> None:
    lines = simulate.csv_bytes(simulate.record(seed=3, minutes=90), START).decode().splitlines()

    assert lines[0] == "time,speed,drill_temp,friction,water_temp"
    assert len(lines) == 91
    assert [line.split(",")[0] for line in lines[1:3]] == [
        "2026-11-24T09:00:00Z",
        "2026-11-24T09:01:00Z",
    ]


def test_a_nominal_run_stays_where_a_spindle_works() -> None:
    runs = np.concatenate([simulate.record(seed=seed) for seed in range(20)])

    low, high = runs.min(axis=0), runs.max(axis=0)

    assert (low > [8_500, 30, 40, 17]).all()
    assert (high < [12_500, 60, 65, 21]).all()


@pytest.mark.parametrize(
    ("fault", "signal", "direction"),
    [
        ("bearing-wear", "friction", 1),
        ("cooling-loss", "water_temp", 1),
        ("dull-tool", "friction", 1),
        ("spindle-drag", "speed", -1),
    ],
)
def test_each_fault_moves_its_own_signal_after_its_onset(
    fault: str, signal: str, direction: int
) -> None:
    column = simulate.COLUMNS.index(signal)
    nominal, faulty = (simulate.record(seed=5, fault=kind, onset=30) for kind in (None, fault))

    assert (nominal[:30] == faulty[:30]).all()
    assert direction * (faulty - nominal)[-10:, column].mean() > 1
