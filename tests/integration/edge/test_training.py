from __future__ import annotations

import hashlib

import numpy as np

from edge import simulate
from edge.detectors import Detector, robot
from edge.detectors.graph import write
from edge.detectors.quality import recording
from edge.detectors.train import _averages, _fit
from ledger_service.domain import profile


def test_scikit_learn_and_the_exported_graph_agree() -> None:
    nominal = [simulate.record(seed=seed) for seed in range(30)]
    model = _fit(nominal, robot.WIDTH)
    made = write(model, np.zeros((8, 1)), np.zeros(1), robot.WIDTH)
    card = robot.open_shipped().card.model_copy(
        update={"model_digest": hashlib.sha256(made).hexdigest(), "failure_modes": ("any",)}
    )
    detector = Detector(card, made)

    for fault in (None, *simulate.FAULTS):
        data = recording(77, fault)
        window = np.round(simulate.record(seed=77, fault=fault), 3)
        t2, q = _averages(model, window, robot.WIDTH)
        expected = max((t2 / model.t2_limit).max(), (q / model.q_limit).max())
        assert profile.agree(detector.run(data).quantised, profile.quantise(expected))


def test_the_committed_model_is_what_training_gives_within_the_profile() -> None:
    shipped, made = robot.open_shipped(), robot.make()

    assert made.card.model_copy(update={"model_digest": ""}) == shipped.card.model_copy(
        update={"model_digest": ""}
    )
    for seed, fault in enumerate((None, *simulate.FAULTS)):
        ours, theirs = (detector.run(recording(seed, fault)) for detector in (made, shipped))
        assert profile.agree(ours.quantised, theirs.quantised)
        assert ours.failure_mode == theirs.failure_mode
