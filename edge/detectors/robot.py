"""The robot's detector: trained on the simulator's nominal data, shipped, made again by its seed."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from edge import simulate
from edge.detectors.run import Detector, load

SEED = 7
NOMINAL_RUNS = 400
FAULT_RUNS = 60
WIDTH = 20


def shipped() -> Path:
    """Return the folder of the shipped detector."""
    return Path(str(resources.files("edge.detectors").joinpath("models/robot")))


def open_shipped() -> Detector:
    """Open the shipped detector."""
    return load(shipped())


def make() -> Detector:
    """Train it again from the seed (needs the extra `training`)."""
    from edge.detectors.train import Plan, train  # noqa: PLC0415  an extra of its own

    plan = Plan(
        name="robot-pca",
        version=1,
        asset_type="robot",
        columns=simulate.COLUMNS,
        units=simulate.UNITS,
        separator=",",
        period_seconds=simulate.PERIOD_SECONDS,
        width=WIDTH,
        min_rows=2 * WIDTH,
        max_rows=24 * 60,
        training=f"robot simulator, {NOMINAL_RUNS} nominal runs from seed {SEED}",
    )
    nominal = [simulate.record(seed=SEED * 10_000 + run) for run in range(NOMINAL_RUNS)]
    faults = {
        fault: [
            simulate.record(seed=SEED * 10_000 + 5_000 + 100 * index + run, fault=fault)
            for run in range(FAULT_RUNS)
        ]
        for index, fault in enumerate(simulate.FAULTS)
    }
    return train(plan, nominal, faults)
