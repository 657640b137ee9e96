"""Training: StandardScaler + PCA on nominal samples, T2 and Q per row, written as one ONNX graph.

T2 (Hotelling) is the distance within the model, Q (squared prediction error) the distance from it
(Jackson & Mudholkar 1979). Both are averaged over `width` rows, divided by the largest such average
of nominal data times a margin, and the largest over the window is the score: above 1 it alarms.
The whole computation is in the graph (`graph`), so no party can compute anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from edge.detectors import graph
from edge.detectors.graph import Fitted, Rows
from edge.detectors.run import Detector
from ledger_service.domain import profile
from ledger_service.domain.profile import DetectorCard, Input

MARGIN = 1.3
EXPLAINED = 0.90
SMALL = 1e-6


@dataclass(frozen=True, slots=True)
class Plan:
    """What to train. `width`: rows averaged; `min_rows` to `max_rows`: sizes of a window."""

    name: str
    version: int
    asset_type: str
    columns: Sequence[str]
    units: Sequence[str]
    separator: Literal[",", ";", "\t"]
    period_seconds: int
    width: int
    min_rows: int
    max_rows: int
    training: str


def train(plan: Plan, nominal: Sequence[Rows], faults: Mapping[str, Sequence[Rows]]) -> Detector:
    """Fit on nominal windows; learn from windows of each fault how to tell them apart.

    `faults`: failure mode -> windows of it; with one mode alone they are not needed.
    """
    model = _fit(nominal, plan.width)
    weights, bias = _diagnosis(model, faults, plan.width)
    written = graph.write(model, weights, bias, plan.width)
    card = DetectorCard(
        name=plan.name,
        version=plan.version,
        asset_type=plan.asset_type,
        failure_modes=tuple(faults),
        model_digest=hashlib.sha256(written).hexdigest(),
        input=Input(
            media_type="text/csv",
            columns=tuple(plan.columns),
            units=tuple(plan.units),
            separator=plan.separator,
            period_seconds=plan.period_seconds,
            min_rows=plan.min_rows,
            max_rows=plan.max_rows,
        ),
        threshold=profile.SCALE,
        profile=profile.PROFILE,
        training=plan.training,
    )
    return Detector(card, written)


def _fit(nominal: Sequence[Rows], width: int) -> Fitted:
    rows = np.concatenate(nominal)
    scaler = StandardScaler().fit(rows)
    deviation = np.maximum(scaler.scale_, SMALL)
    pca = PCA(n_components=EXPLAINED, svd_solver="full").fit((rows - scaler.mean_) / deviation)
    axes, variance = pca.components_.T, np.maximum(pca.explained_variance_, SMALL)
    model = Fitted(scaler.mean_, deviation, axes, variance, 1.0, 1.0)
    averages = [_averages(model, window, width) for window in nominal]
    t2, q = (float(max(a[which].max() for a in averages)) for which in (0, 1))
    return Fitted(
        scaler.mean_, deviation, axes, variance, max(t2, SMALL) * MARGIN, max(q, SMALL) * MARGIN
    )


def _averages(model: Fitted, window: Rows, width: int) -> Rows:
    """Return moving averages of T2 and Q, shape (2, rows - width + 1)."""
    scaled = (window - model.mean) / model.deviation
    inner = scaled @ model.axes
    residual = scaled - inner @ model.axes.T
    t2, q = (inner**2 / model.variance).sum(axis=1), (residual**2).sum(axis=1)
    kernel = np.ones(width) / width
    return np.array([np.convolve(values, kernel, "valid") for values in (t2, q)])


def _diagnosis(
    model: Fitted, faults: Mapping[str, Sequence[Rows]], width: int
) -> tuple[Rows, Rows]:
    """Return weights (2 x columns, modes) and bias (modes) that tell faults apart by the last rows.

    Multinomial logistic regression on the means of scaled values and residuals; zeros where there is
    one failure mode alone.
    """
    size = 2 * len(model.mean)
    if len(faults) == 1:
        return np.zeros((size, 1)), np.zeros(1)
    vectors = [_tail(model, window, width) for windows in faults.values() for window in windows]
    labels = [index for index, windows in enumerate(faults.values()) for _ in windows]
    fitted = LogisticRegression(C=10.0, max_iter=5_000).fit(np.array(vectors), labels)
    return fitted.coef_.T, fitted.intercept_


def _tail(model: Fitted, window: Rows, width: int) -> Rows:
    scaled = (window[-width:] - model.mean) / model.deviation
    residual = scaled - scaled @ model.axes @ model.axes.T
    return np.concatenate([scaled.mean(axis=0), residual.mean(axis=0)])
