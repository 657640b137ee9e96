"""One real agent under load: killed in the middle of a batch, frozen, without room, without its folder."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
import signal
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from ledger_service.chain.client import ChainLedger
from ledger_service.domain.calls import Propose
from ledger_service.domain.facts import Approved
from tests.integration.agent.feed import line
from tests.integration.agent.plant import Plant, until, verdicts
from tests.peers.consortium import mined, send
from tests.peers.embedded import EmbeddedChain
from validators.journal.file import FILE_NAME, read
from validators.rules.case import Announced

ORDERS = 30
KILLS = 5


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[EmbeddedChain]:
    """A chain that makes its blocks some time apart, so that there is a pool, and load between two."""
    with EmbeddedChain(tmp_path / "chain", period=0.3) as running:
        yield running


def tell(plant: Plant, items: Sequence[Announced]) -> None:
    plant.feed.lines.extend(line(item) for item in items)


async def propose(plant: Plant, ledger: ChainLedger, items: Sequence[Announced]) -> None:
    contents = tuple(item.content for item in items)
    await mined(ledger, await send(ledger, plant.founded.builder, Propose(contents)))


async def approved_once(ledger: ChainLedger, items: Sequence[Announced]) -> bool:
    found = await verdicts(ledger)
    return [[type(e) for e in found.get(it.order, [])] for it in items] == [[Approved]] * len(items)


async def test_an_agent_that_is_killed_in_the_middle_of_batches_says_each_verdict_once(
    plant: Plant,
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")  # noqa: T201  to run it again
    rng = random.Random(seed)  # noqa: S311  a test's choice of moments
    ledger = plant.founded.ledger()
    items = [plant.order(told=False) for _ in range(ORDERS)]
    for kill in range(KILLS):
        tell(plant, items[kill * ORDERS // KILLS : (kill + 1) * ORDERS // KILLS])
        plant.agent.start()
        runs = kill + 1

        async def begun(runs: int = runs) -> bool:
            return plant.agent.log.count("agent runs") == runs

        await until(begun, plant.agent)
        await asyncio.sleep(rng.uniform(0, 0.8))
        plant.agent.end(signal.SIGKILL)
    await propose(plant, ledger, items[: ORDERS // 2])
    plant.agent.start()
    await until(lambda: approved_once(ledger, items), plant.agent)
    plant.agent.end(signal.SIGTERM)
    nonce = await ledger.nonce(plant.founded.verdict(2).address)
    await ledger.close()

    signed = [entry for entry in entries(plant) if entry["kind"] == "signed"]
    assert len({entry["raw"] for entry in signed}) == nonce < ORDERS
    assert max(len(entry.get("orders", [1])) for entry in signed) > 1


async def test_an_agent_that_lost_its_whole_folder_says_nothing_twice_and_has_its_copies_again(
    plant: Plant,
) -> None:
    ledger = plant.founded.ledger()
    items = [plant.order() for _ in range(12)]
    plant.agent.start()
    await until(lambda: approved_once(ledger, items), plant.agent)
    await propose(plant, ledger, items)
    plant.agent.end(signal.SIGKILL)
    nonce = await ledger.nonce(plant.founded.verdict(2).address)
    copies = {path.name for path in kept(plant)}
    (plant.agent.root / FILE_NAME).unlink()
    shutil.rmtree(plant.agent.root / "kept")
    more = [plant.order() for _ in range(3)]
    plant.agent.start()
    await until(lambda: approved_once(ledger, items + more), plant.agent)

    async def copied() -> bool:
        return copies <= {path.name for path in kept(plant)}

    await until(copied, plant.agent)
    plant.agent.end(signal.SIGTERM)
    again = await ledger.nonce(plant.founded.verdict(2).address)
    await ledger.close()

    assert len(copies) == len(items)
    assert nonce < again <= nonce + len(more)


async def test_an_agent_that_is_frozen_and_a_node_that_loses_its_pool_cost_time_and_no_verdict(
    plant: Plant, chain: EmbeddedChain
) -> None:
    ledger = plant.founded.ledger()
    items = [plant.order(told=False) for _ in range(30)]
    plant.agent.start()
    tell(plant, items[:15])
    await asyncio.sleep(2)
    assert plant.agent.process is not None
    plant.agent.process.send_signal(signal.SIGSTOP)
    await propose(plant, ledger, items[:20])
    await asyncio.sleep(3)  # many blocks
    plant.agent.process.send_signal(signal.SIGCONT)
    tell(plant, items[15:])
    await asyncio.sleep(0.3)
    chain.end(signal.SIGKILL)  # with whatever waited for its block
    await asyncio.sleep(1)
    chain.start()
    await until(lambda: approved_once(ledger, items), plant.agent)
    nonce = await ledger.nonce(plant.founded.verdict(2).address)
    await ledger.close()

    signed = [entry for entry in entries(plant) if entry["kind"] == "signed"]
    assert len({entry["nonce"] for entry in signed}) == nonce


async def test_a_disk_that_is_full_keeps_an_agent_silent_until_there_is_room(
    plant: Plant, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = plant.founded.ledger()
    monkeypatch.setenv("MOL_AGENT_FOLDER", str(small_disk))
    first, items = plant.order(), [plant.order(told=False) for _ in range(10)]
    plant.agent.start()
    await until(lambda: approved_once(ledger, [first]), plant.agent)
    ballast = small_disk / "ballast"
    fill(ballast)
    tell(plant, items)

    async def complains() -> bool:
        return "No space left on device" in plant.agent.log

    await until(complains, plant.agent)
    await asyncio.sleep(1)
    known = {entry["order"] for entry in all_entries(small_disk) if entry["kind"] == "verdict"}
    for order in await verdicts(ledger):
        assert order.hex() in known
    ballast.unlink()
    await propose(plant, ledger, items)
    await until(lambda: approved_once(ledger, [first, *items]), plant.agent)
    assert plant.agent.process is not None
    assert plant.agent.process.poll() is None
    plant.agent.end(signal.SIGTERM)
    await ledger.close()


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of one MiB; mounting one is the privilege of some machines."""
    folder = tmp_path / "disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("no disk can be mounted here")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(1024))


def kept(plant: Plant) -> list[Path]:
    return [path for path in (plant.agent.root / "kept").glob("*") if path.name[0] != "."]


def entries(plant: Plant) -> list[dict[str, Any]]:
    return all_entries(plant.agent.root)


def all_entries(folder: Path) -> list[dict[str, Any]]:
    return [inner for entry in read(folder) for inner in entry.get("entries", [entry])]
