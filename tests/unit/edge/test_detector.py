from __future__ import annotations

import hashlib
import threading
from pathlib import Path

import pytest

from edge import simulate
from edge.detectors import Detector, load, robot
from edge.detectors.quality import START, measure, recording
from edge.detectors.run import CARD, MODEL
from ledger_service.domain import errors


def save(detector: Detector, folder: Path) -> None:
    (folder / MODEL).write_bytes(detector.model)
    (folder / CARD).write_bytes(detector.card.dumps())


@pytest.fixture(scope="module")
def shipped() -> Detector:
    return robot.open_shipped()


def test_no_nominal_run_alarms_and_every_fault_is_found_and_mostly_named(
    shipped: Detector,
) -> None:
    nominal, *faults = measure(shipped, runs=20)

    assert nominal.alarms == 0
    assert [quality.kind for quality in faults] == list(simulate.FAULTS)
    assert all(quality.rate == 1 for quality in faults)
    assert all(quality.named >= 16 for quality in faults)


def test_a_run_is_bit_equal_again_in_another_session_and_in_another_thread(
    shipped: Detector,
) -> None:
    data = recording(1, "bearing-wear")
    first, other = shipped.run(data), robot.open_shipped()
    found = []
    threads = [threading.Thread(target=lambda: found.append(other.run(data))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert found == [first] * 3


def test_the_session_has_one_thread_and_a_fixed_order(shipped: Detector) -> None:
    options = shipped._session.get_session_options()

    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (1, 1)
    assert options.use_deterministic_compute
    assert shipped._session.get_providers() == ["CPUExecutionProvider"]


def test_a_model_with_one_other_bit_is_refused_by_its_digest(
    shipped: Detector, tmp_path: Path
) -> None:
    save(shipped, tmp_path)
    assert load(tmp_path).id == shipped.id
    model = bytearray(shipped.model)
    model[len(model) // 2] ^= 1
    (tmp_path / MODEL).write_bytes(model)

    with pytest.raises(errors.DigestMismatch):
        load(tmp_path)


def test_a_changed_card_is_another_detector(shipped: Detector, tmp_path: Path) -> None:
    save(shipped, tmp_path)
    text = (tmp_path / CARD).read_text("utf-8").replace('"threshold":100000', '"threshold":90000')
    (tmp_path / CARD).write_text(text, "utf-8")

    assert load(tmp_path).id != shipped.id


def test_bytes_that_are_no_model_are_told_of_when_they_are_run(shipped: Detector) -> None:
    card = shipped.card.model_copy(update={"model_digest": hashlib.sha256(b"x").hexdigest()})

    with pytest.raises(errors.ConfigError, match="robot-pca does not run"):
        Detector(card, b"x").run(recording(1, None))


def test_a_folder_without_a_detector_says_so(tmp_path: Path) -> None:
    with pytest.raises(errors.NotFound):
        load(tmp_path)


def test_features_are_the_means_as_scaled_integers(shipped: Detector) -> None:
    samples = simulate.record(seed=9)
    found = shipped.run(simulate.csv_bytes(samples, START)).features

    assert [feature.name for feature in found] == [f"mean_{name}" for name in simulate.COLUMNS]
    for feature, mean in zip(found, samples.mean(axis=0), strict=True):
        assert float(feature.quantity.decimal()) == pytest.approx(mean, abs=1e-2)
