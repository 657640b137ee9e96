"""Running a detector: bytes in, one score out, the same on every machine within the profile."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import onnxruntime as ort
from onnxruntime.capi import onnxruntime_pybind11_state as runtime

from edge.detectors import samples
from ledger_service.domain import errors, ids, profile
from ledger_service.domain.profile import DetectorCard
from ledger_service.domain.statement import Feature
from ledger_service.domain.units import Quantity

CARD, MODEL = "card.json", "model.onnx"
RUNTIME_ERRORS = (
    runtime.Fail,
    runtime.InvalidArgument,
    runtime.InvalidGraph,
    runtime.InvalidProtobuf,
    runtime.NotImplemented,
    runtime.RuntimeException,
)
FEATURE_EXPONENT = -3


@dataclass(frozen=True, slots=True)
class Scored:
    """What a run gave. `score` > card threshold alarms; `features` are column means, scaled integers.

    `rows`: the samples that were read.
    """

    rows: int
    score: float
    quantised: int
    features: tuple[Feature, ...]
    failure_mode: str


class Detector:
    """A card and its model. One thread, CPU, fixed order: the determinism profile."""

    def __init__(self, card: DetectorCard, model: bytes) -> None:
        """Raise DigestMismatch if the model is not the card's."""
        found = hashlib.sha256(model).hexdigest()
        if found != card.model_digest:
            raise errors.DigestMismatch(
                "The model is not the one of the card.", found=found, expected=card.model_digest
            )
        self.card = card
        self.model = model

    @property
    def id(self) -> ids.DetectorId:
        """Return the id under which the chain knows it."""
        return self.card.id

    @property
    def engine(self) -> tuple[str, str]:
        """Return name and version of what runs it."""
        return "onnxruntime", str(ort.__version__)

    @cached_property
    def _session(self) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
        options.use_deterministic_compute = True
        options.log_severity_level = 3
        return ort.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])

    def save(self, folder: Path) -> None:
        """Write card.json and model.onnx into a folder."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / MODEL).write_bytes(self.model)
        (folder / CARD).write_bytes(self.card.dumps())

    def run(self, data: bytes) -> Scored:
        """Score a window of samples. Raise BadSample, TooLarge; ConfigError for a model that is none."""
        rows = samples.read(data, self.card.input)
        try:
            score, shares = self._session.run(["score", "shares"], {"samples": rows})
        except RUNTIME_ERRORS as exc:
            detail = f"The model of {self.card.name} does not run: {str(exc)[:200]}"
            raise errors.ConfigError(detail) from exc
        value = float(np.asarray(score).reshape(()))
        return Scored(
            rows=len(rows),
            score=value,
            quantised=profile.quantise(value),
            features=self._features(rows),
            failure_mode=self._diagnose(np.asarray(shares)),
        )

    def _features(self, rows: np.ndarray) -> tuple[Feature, ...]:
        means = rows.astype(np.float64).mean(axis=0)
        scaled = np.rint(means * 10.0**-FEATURE_EXPONENT)
        return tuple(
            Feature(f"mean_{name}", Quantity(int(value), FEATURE_EXPONENT, unit))
            for name, unit, value in zip(
                self.card.input.columns, self.card.input.units, scaled, strict=True
            )
        )

    def _diagnose(self, shares: np.ndarray) -> str:
        """Return the failure mode whose share is largest; a hint for the job plan, not a proof."""
        return self.card.failure_modes[int(np.argmax(shares))]


def load(folder: Path) -> Detector:
    """Open a detector: card.json and model.onnx in one folder. Raise NotFound, DigestMismatch."""
    try:
        card, model = (folder / CARD).read_bytes(), (folder / MODEL).read_bytes()
    except OSError as exc:
        raise errors.NotFound("No detector in this folder.", found=folder) from exc
    return Detector(profile.load_card(card), model)
