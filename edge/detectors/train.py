"""Training: StandardScaler + PCA on nominal samples, T2 and Q per row, written as one ONNX graph.

T2 (Hotelling) is the distance within the model, Q (squared prediction error) the distance from it
(Jackson & Mudholkar 1979). Both are averaged over `width` rows, divided by the largest such average
of nominal data times a margin, and the largest over the window is the score: above 1 it alarms.
The whole computation is in the graph, so no party can compute anything else.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from edge.detectors.run import CARD, MODEL, Detector
from ledger_service.domain import profile
from ledger_service.domain.profile import DetectorCard, Input

Rows = NDArray[np.float64]
OPSET = 17
IR_VERSION = 8
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


@dataclass(frozen=True, slots=True)
class _Model:
    mean: Rows
    deviation: Rows
    axes: Rows  # columns x components
    variance: Rows
    t2_limit: float
    q_limit: float


def train(plan: Plan, nominal: Sequence[Rows], faults: Mapping[str, Sequence[Rows]]) -> Detector:
    """Fit on nominal windows; learn from windows of each fault how to tell them apart.

    `faults`: failure mode -> windows of it; with one mode alone they are not needed.
    """
    model = _fit(nominal, plan.width)
    weights, bias = _diagnosis(model, faults, plan.width)
    graph = _graph(model, weights, bias, plan.width).SerializeToString(deterministic=True)
    card = DetectorCard(
        name=plan.name,
        version=plan.version,
        asset_type=plan.asset_type,
        failure_modes=tuple(faults),
        model_digest=hashlib.sha256(graph).hexdigest(),
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
    return Detector(card, graph)


def save(detector: Detector, folder: Path) -> None:
    """Write card.json and model.onnx into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MODEL).write_bytes(detector.model)
    (folder / CARD).write_bytes(detector.card.dumps())


def _fit(nominal: Sequence[Rows], width: int) -> _Model:
    rows = np.concatenate(nominal)
    scaler = StandardScaler().fit(rows)
    deviation = np.maximum(scaler.scale_, SMALL)
    pca = PCA(n_components=EXPLAINED, svd_solver="full").fit((rows - scaler.mean_) / deviation)
    axes, variance = pca.components_.T, np.maximum(pca.explained_variance_, SMALL)
    model = _Model(scaler.mean_, deviation, axes, variance, 1.0, 1.0)
    averages = [_averages(model, window, width) for window in nominal]
    t2, q = (float(max(a[which].max() for a in averages)) for which in (0, 1))
    return _Model(
        scaler.mean_, deviation, axes, variance, max(t2, SMALL) * MARGIN, max(q, SMALL) * MARGIN
    )


def _averages(model: _Model, window: Rows, width: int) -> Rows:
    """Return moving averages of T2 and Q, shape (2, rows - width + 1)."""
    scaled = (window - model.mean) / model.deviation
    inner = scaled @ model.axes
    residual = scaled - inner @ model.axes.T
    t2, q = (inner**2 / model.variance).sum(axis=1), (residual**2).sum(axis=1)
    kernel = np.ones(width) / width
    return np.array([np.convolve(values, kernel, "valid") for values in (t2, q)])


def _diagnosis(
    model: _Model, faults: Mapping[str, Sequence[Rows]], width: int
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


def _tail(model: _Model, window: Rows, width: int) -> Rows:
    scaled = (window[-width:] - model.mean) / model.deviation
    residual = scaled - scaled @ model.axes @ model.axes.T
    return np.concatenate([scaled.mean(axis=0), residual.mean(axis=0)])


def _graph(model: _Model, diagnosis: Rows, bias: Rows, width: int) -> onnx.ModelProto:
    columns = len(model.mean)
    weights: dict[str, NDArray[Any]] = {
        "mean": model.mean,
        "deviation": model.deviation,
        "axes": model.axes,
        "axes_back": model.axes.T,
        "variance": model.variance,
        "t2_limit": np.array(model.t2_limit),
        "q_limit": np.array(model.q_limit),
        "diagnosis": diagnosis,
        "bias": bias,
    }
    constants = [numpy_helper.from_array(v.astype(np.float32), n) for n, v in weights.items()]
    numbers = {"last": [1], "from": [-width], "to": [2**31 - 1], "rows_axis": [0]}
    constants += [numpy_helper.from_array(np.array(v, np.int64), n) for n, v in numbers.items()]
    node = helper.make_node
    nodes = [
        node("Sub", ["samples", "mean"], ["centred"]),
        node("Div", ["centred", "deviation"], ["scaled"]),
        node("MatMul", ["scaled", "axes"], ["inner"]),
        node("MatMul", ["inner", "axes_back"], ["back"]),
        node("Sub", ["scaled", "back"], ["residual"]),
        node("Mul", ["inner", "inner"], ["inner2"]),
        node("Div", ["inner2", "variance"], ["t2_terms"]),
        node("ReduceSum", ["t2_terms", "last"], ["t2"], keepdims=1),
        node("Mul", ["residual", "residual"], ["residual2"]),
        node("ReduceSum", ["residual2", "last"], ["q"], keepdims=1),
        node("Div", ["t2", "t2_limit"], ["t2_ratio"]),
        node("Div", ["q", "q_limit"], ["q_ratio"]),
        node("Concat", ["t2_ratio", "q_ratio"], ["ratios"], axis=1),
        node("Transpose", ["ratios"], ["ratios_t"], perm=[1, 0]),
        node("Unsqueeze", ["ratios_t", "rows_axis"], ["ratios_3"]),
        node("AveragePool", ["ratios_3"], ["averages"], kernel_shape=[width], strides=[1]),
        node("ReduceMax", ["averages"], ["score"], keepdims=0),
        node("Concat", ["scaled", "residual"], ["both"], axis=1),
        node("Slice", ["both", "from", "to", "rows_axis"], ["tail"]),
        node("ReduceMean", ["tail"], ["vector"], axes=[0], keepdims=1),
        node("Gemm", ["vector", "diagnosis", "bias"], ["shares"]),
    ]
    graph = helper.make_graph(
        nodes,
        "pca_t2_q",
        [helper.make_tensor_value_info("samples", TensorProto.FLOAT, [None, columns])],
        [
            helper.make_tensor_value_info("score", TensorProto.FLOAT, []),
            helper.make_tensor_value_info("shares", TensorProto.FLOAT, [1, len(bias)]),
        ],
        constants,
    )
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = IR_VERSION
    made.producer_name = "maintenance-order-ledger"
    onnx.checker.check_model(made, full_check=True)
    return made
