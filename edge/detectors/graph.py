"""The PCA detector as one ONNX graph: samples in; score, and one share per failure mode, out.

Read top to bottom the nodes are the formulas of `train`: scale, project, T2 and Q per row, their
moving averages against the limits, the largest of all; and the diagnosis from the last rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

Rows = NDArray[np.float64]
OPSET = 17
IR_VERSION = 8
TO_THE_END = 2**31 - 1


@dataclass(frozen=True, slots=True)
class Fitted:
    """What training found. `axes`: columns x components."""

    mean: Rows
    deviation: Rows
    axes: Rows
    variance: Rows
    t2_limit: float
    q_limit: float


def write(model: Fitted, diagnosis: Rows, bias: Rows, width: int) -> bytes:
    """Return the model file: the same numbers give the same bytes."""
    nodes = [*_distances(), *_score(width), *_shares()]
    samples = helper.make_tensor_value_info("samples", TensorProto.FLOAT, [None, len(model.mean)])
    score = helper.make_tensor_value_info("score", TensorProto.FLOAT, [])
    shares = helper.make_tensor_value_info("shares", TensorProto.FLOAT, [1, len(bias)])
    constants = [*_weights(model, diagnosis, bias), *_numbers(width)]
    graph = helper.make_graph(nodes, "pca_t2_q", [samples], [score, shares], constants)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    made.ir_version = IR_VERSION
    made.producer_name = "maintenance-order-ledger"
    onnx.checker.check_model(made, full_check=True)
    return bytes(made.SerializeToString(deterministic=True))


def _weights(model: Fitted, diagnosis: Rows, bias: Rows) -> list[onnx.TensorProto]:
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
    return [numpy_helper.from_array(v.astype(np.float32), name) for name, v in weights.items()]


def _numbers(width: int) -> list[onnx.TensorProto]:
    numbers = {"last": [1], "from": [-width], "to": [TO_THE_END], "rows_axis": [0]}
    return [numpy_helper.from_array(np.array(v, np.int64), name) for name, v in numbers.items()]


def _distances() -> Sequence[onnx.NodeProto]:
    """Return T2 and Q of each row."""
    node = helper.make_node
    return [
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
    ]


def _score(width: int) -> Sequence[onnx.NodeProto]:
    """Return the largest moving average of either, each against its limit."""
    node = helper.make_node
    return [
        node("Div", ["t2", "t2_limit"], ["t2_ratio"]),
        node("Div", ["q", "q_limit"], ["q_ratio"]),
        node("Concat", ["t2_ratio", "q_ratio"], ["ratios"], axis=1),
        node("Transpose", ["ratios"], ["ratios_t"], perm=[1, 0]),
        node("Unsqueeze", ["ratios_t", "rows_axis"], ["ratios_3"]),
        node("AveragePool", ["ratios_3"], ["averages"], kernel_shape=[width], strides=[1]),
        node("ReduceMax", ["averages"], ["score"], keepdims=0),
    ]


def _shares() -> Sequence[onnx.NodeProto]:
    """Return how much the last rows look like each failure mode."""
    node = helper.make_node
    return [
        node("Concat", ["scaled", "residual"], ["both"], axis=1),
        node("Slice", ["both", "from", "to", "rows_axis"], ["tail"]),
        node("ReduceMean", ["tail"], ["vector"], axes=[0], keepdims=1),
        node("Gemm", ["vector", "diagnosis", "bias"], ["shares"]),
    ]
