from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from edge.detectors import Detector
from tests.unit.validators.world import DETECTOR, Running, World
from validators.rerun.models import Models


def put_model(folder: Path, detector: Detector) -> None:
    """Put a detector where an organisation keeps its own copies."""
    folder.mkdir(parents=True)
    (folder / "card.json").write_bytes(detector.card.dumps())
    (folder / "model.onnx").write_bytes(detector.model)


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Models]:
    """The organisation's detectors; opening one costs more than a whole test."""
    folder = tmp_path_factory.mktemp("models")
    put_model(folder / "robot", DETECTOR)
    found = Models(folder)
    yield found
    found.close()


@pytest.fixture
def world(tmp_path: Path, models: Models) -> World:
    return World(tmp_path, models)


@pytest.fixture
async def us(world: World) -> AsyncIterator[Running]:
    async with world.agent() as running:
        await running.house.start()
        yield running
