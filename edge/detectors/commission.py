"""Commissioning: a detector made for recordings of machines that nobody trained for before.

Scaler and limits belong to a machine. Where recordings are known as nominal, one detector learns from
all of them. Where none is, each recording commissions its own on its first third, as a machine does
that was just overhauled; what follows is compared with that.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from edge.detectors import samples
from edge.detectors.graph import Rows
from edge.detectors.run import Detector
from edge.detectors.train import Plan, train
from edge.recordings import Recording, common_signals, slug
from ledger_service.domain import errors
from ledger_service.domain.profile import Input

ASSET_TYPE = "machine"
FAILURE_MODE = "anomaly"
WIDTH = 20
HEAD = 1 / 3
PERIOD_SECONDS = 1
MAX_ROWS = 10_000_000
UNIT = "1"


@dataclass(frozen=True, slots=True)
class Commissioned:
    """A recording with the detector that judges it."""

    recording: Recording
    detector: Detector


def commission(recordings: Sequence[Recording]) -> list[Commissioned]:
    """Make detectors for the recordings that are not known as nominal (extra `training`).

    Raise EmptyDataset if all are nominal, BadSample if the nominal ones share too few columns.
    """
    judged = [recording for recording in recordings if not recording.nominal]
    if not judged:
        raise errors.EmptyDataset("All recordings are nominal; there is nothing to judge.")
    nominal = [recording for recording in recordings if recording.nominal]
    if not nominal:
        return [Commissioned(recording, _own(recording)) for recording in judged]
    shared: dict[tuple[str, str], Detector] = {}
    return [Commissioned(recording, _shared(shared, nominal, recording)) for recording in judged]


def _own(recording: Recording) -> Detector:
    rows = _read(recording, recording.signals)
    head = rows[: max(int(len(rows) * HEAD), 2 * WIDTH)]
    name = slug(recording.name)
    return _train(name, recording, recording.signals, [head], f"first {len(head)} rows of {name}")


def _shared(
    made: dict[tuple[str, str], Detector], nominal: Sequence[Recording], judged: Recording
) -> Detector:
    """Return the detector for recordings with these columns; it is trained once."""
    signals = common_signals([judged, *nominal])
    key = (judged.separator, "\n".join(signals))
    if key not in made:
        windows = [_read(recording, signals) for recording in nominal]
        training = f"{len(nominal)} nominal recording(s)"
        made[key] = _train("commissioned", judged, signals, windows, training)
    return made[key]


def _train(
    name: str, like: Recording, signals: Sequence[str], windows: Sequence[Rows], training: str
) -> Detector:
    """Train on nominal windows, leaving out what never moves in them: set points and dead sensors."""
    moving = np.concatenate(windows).std(axis=0) > 0
    columns = [signal for signal, moves in zip(signals, moving, strict=True) if moves]
    if not columns:
        raise errors.BadSample("No measurement moves in the nominal rows.", found=like.name)
    plan = Plan(
        name=f"{name}-pca"[:64],
        version=1,
        asset_type=ASSET_TYPE,
        columns=columns,
        units=[UNIT] * len(columns),
        separator=like.separator,
        period_seconds=PERIOD_SECONDS,
        width=WIDTH,
        min_rows=2 * WIDTH,
        max_rows=MAX_ROWS,
        training=training,
    )
    return train(plan, [window[:, moving] for window in windows], {FAILURE_MODE: []})


def _read(recording: Recording, signals: Sequence[str]) -> Rows:
    shape = Input(
        media_type="text/csv",
        columns=tuple(signals),
        units=(UNIT,) * len(signals),
        separator=recording.separator,
        period_seconds=PERIOD_SECONDS,
        min_rows=1,
        max_rows=MAX_ROWS,
    )
    return samples.read(recording.table.read_bytes(), shape).astype(np.float64)
