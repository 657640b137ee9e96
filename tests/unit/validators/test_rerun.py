from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from edge.detectors import Detector
from edge.detectors.quality import recording
from ledger_service.domain import ids
from tests.unit.validators.conftest import put_model
from tests.unit.validators.world import DETECTOR
from validators.rerun.models import Models


@pytest.fixture
def own(tmp_path: Path) -> Iterator[Models]:
    found = Models(tmp_path)
    yield found
    found.close()


async def test_our_own_copy_gives_the_very_score_that_the_edge_gave(
    tmp_path: Path, own: Models
) -> None:
    put_model(tmp_path / "robot", DETECTOR)
    await own.warm_up()
    detector = own.find(DETECTOR.id)
    assert detector is not None
    data = recording(3, "cooling-loss")

    assert await own.run(detector, data) == DETECTOR.run(data)
    assert len(own) == 1


async def test_a_detector_that_comes_later_is_found_when_it_is_asked_for(
    tmp_path: Path, own: Models
) -> None:
    assert own.find(DETECTOR.id) is None
    put_model(tmp_path / "robot", DETECTOR)

    assert own.find(DETECTOR.id) is not None
    assert own.find(ids.DetectorId(bytes(32))) is None


@pytest.mark.parametrize("name", ["card.json", "model.onnx"])
async def test_a_folder_that_was_tampered_with_is_left_out(
    tmp_path: Path, own: Models, name: str
) -> None:
    put_model(tmp_path / "robot", DETECTOR)
    put_model(tmp_path / "good", Detector(DETECTOR.card, DETECTOR.model))
    data = bytearray((tmp_path / "robot" / name).read_bytes())
    data[len(data) // 2] ^= 1
    (tmp_path / "robot" / name).write_bytes(data)
    await own.warm_up()

    found = own.find(DETECTOR.id)
    assert found is not None
    assert found.model == DETECTOR.model


async def test_a_model_that_is_swapped_while_the_agent_runs_changes_nothing(
    tmp_path: Path, own: Models
) -> None:
    put_model(tmp_path / "robot", DETECTOR)
    await own.warm_up()
    (tmp_path / "robot" / "model.onnx").write_bytes(b"another model")
    found = own.find(DETECTOR.id)
    assert found is not None
    data = recording(3, "dull-tool")

    assert await own.run(found, data) == DETECTOR.run(data)
