"""Disks that are full: of the bytes, of the destinations, of the database; and have room again."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo.claims import Claim
from tests.acceptance.chaos.load import Load, Piece
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import judge
from tests.peers.mounts import SmallDisk, small_disk

PLACES = ("documents", "purchase-orders", "mailbox")
PATIENCE_SECONDS = 90.0
FOLLOW_SECONDS = 200.0


@dataclass(frozen=True)
class Disks:
    """What each part of a service writes on: a disk of its own."""

    database: SmallDisk
    objects: SmallDisk
    places: tuple[SmallDisk, ...]


@contextlib.contextmanager
def mounted(folder: Path) -> Iterator[Disks]:
    service = folder / "service"
    with ExitStack() as stack:
        yield Disks(
            stack.enter_context(small_disk(folder / "database", 32)),
            stack.enter_context(small_disk(service / "objects", 8)),
            tuple(stack.enter_context(small_disk(service / name, 1)) for name in PLACES),
        )


async def refused(stack: Stack, load: Load, claim: Claim) -> str:
    """Post once; return what the service says against it."""
    packed = await asyncio.to_thread(claiming.seal, stack.site, claim, datetime.now(UTC))
    with bundle.read(packed.file) as opened, pytest.raises(send.Unreachable) as said:
        await send.send(load.client, opened, tries=1)
    answer = await load.client.get(f"/v1/evidence/{packed.evidence.hex()}")
    assert answer.status_code == 404, answer.text
    return str(said.value)


async def check_found(stack: Stack, *names: str) -> None:
    """The doctor names each disk that is full, and no other."""
    found = (await stack.doctor())["disks"]
    assert found["ok"] is False
    assert [line.partition(":")[0] for line in found["text"].split("; ")] == list(names)


async def until(load: Load, piece: Piece, condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, piece
        await load.look(piece)
        await asyncio.sleep(0.2)


async def fill_objects(stack: Stack, load: Load, disk: SmallDisk, claim: Claim) -> None:
    disk.fill()
    said = await refused(stack, load, claim)
    await check_found(stack, "objects")
    disk.free()

    assert "503 ST00" in said
    assert "No space left on device" in said
    assert list(disk.place.glob("staging/*")) == []
    await load.post(claim)


async def fill_places(stack: Stack, load: Load, disks: tuple[SmallDisk, ...], claim: Claim) -> None:
    for disk in disks:
        disk.fill()
    piece = await load.post(claim)
    await until(load, piece, lambda: len(waiting(piece)) == len(PLACES))
    said = [item["reason"] for item in waiting(piece)]
    await check_found(stack, "documents", "erp", "notifications")
    for disk in disks:
        disk.free()

    assert all("No space left on device" in reason for reason in said), said


def waiting(piece: Piece) -> list[dict[str, str]]:
    """The deliveries that were tried in vain."""
    found = piece.order.get("deliveries", [])
    return [item for item in found if item["state"] == "pending" and item["reason"]]


async def fill_database(stack: Stack, load: Load, disk: SmallDisk, claim: Claim) -> None:
    # A reader that does not end keeps the write-ahead log from being used from its start again.
    with closing(sqlite3.connect(disk.place / "mol.db", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM evidence").fetchone()
        disk.fill()
        said = await refused(stack, load, claim)
        await check_found(stack, "database")
    disk.free()

    assert "503 ST00" in said
    assert "database or disk is full" in said
    await load.post(claim)


def half_written(place: Path) -> list[Path]:
    """What a write that failed might leave."""
    return [*place.rglob("*.tmp"), *place.glob(".staging/*"), *place.glob("tmp/*")]


@pytest.mark.timeout(400)
async def test_a_full_disk_is_said_leaves_nothing_half_and_is_forgotten_when_there_is_room(
    tmp_path: Path,
) -> None:
    with mounted(tmp_path) as disks:
        database = f"sqlite+aiosqlite:///{disks.database.place / 'mol.db'}"
        async with (
            running(tmp_path, Shape(database=database, orders=3)) as stack,
            Load(stack) as load,
        ):
            await fill_objects(stack, load, disks.objects, stack.claims[0])
            await fill_places(stack, load, disks.places, stack.claims[1])
            await fill_database(stack, load, disks.database, stack.claims[2])

            await load.follow(seconds=FOLLOW_SECONDS)
            verdict = await judge(stack, load.pieces)
            restarts = sum(stack.supervisor.restarts.values())
        left = [it for disk in disks.places for it in half_written(disk.place)]

    assert verdict.clean, verdict
    assert verdict.figures["orders"] == 3
    assert (restarts, left) == (0, [])
