from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from obstore.store import LocalStore

from ledger_service.domain import errors
from ledger_service.storage.locations import Locations
from ledger_service.storage.objects import WRITE_BYTES, Objects, open_objects

MIB = 1024 * 1024


def on_disk(folder: Path) -> list[str]:
    """Return every file, hidden and half-written ones too."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


async def stream(count: int, *, fails: bool = False) -> AsyncIterator[bytes]:
    for number in range(count):
        yield bytes([number % 256]) * MIB
    if fails:
        raise errors.DigestMismatch("At the end.")


async def taken(chunks: AsyncIterator[bytes]) -> bytes:
    return b"".join([chunk async for chunk in chunks])


@pytest.fixture
def objects(tmp_path: Path) -> Objects:
    return open_objects(str(tmp_path))


@pytest.mark.parametrize("count", [0, 1, WRITE_BYTES // MIB, 20])
async def test_a_stream_that_fails_leaves_nothing_on_the_disk_whatever_its_length(
    objects: Objects, tmp_path: Path, count: int
) -> None:
    with pytest.raises(errors.DigestMismatch):
        await objects.put("staging/a", stream(count, fails=True))

    assert on_disk(tmp_path) == []


async def test_a_stream_that_is_given_up_leaves_nothing_on_the_disk(
    objects: Objects, tmp_path: Path
) -> None:
    begun = asyncio.Event()

    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield bytes(MIB)
            begun.set()
            await asyncio.sleep(0)

    task = asyncio.create_task(objects.put("staging/a", endless()))
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(100):
        if not on_disk(tmp_path):
            break
        await asyncio.sleep(0.02)

    assert on_disk(tmp_path) == []


async def test_nothing_is_visible_before_the_end(objects: Objects) -> None:
    seen: list[int | None] = []

    async def watched() -> AsyncIterator[bytes]:
        async for chunk in stream(12):
            yield chunk
            seen.append(await objects.size("files/a"))

    assert await objects.put("files/a", watched()) == 12 * MIB

    assert set(seen) == {None}
    assert await objects.size("files/a") == 12 * MIB


async def test_moving_replaces_the_target_and_leaves_no_folder_of_uploads(
    objects: Objects, tmp_path: Path
) -> None:
    await objects.put("files/a", stream(1))
    await objects.put("staging/x-1", stream(2))
    await objects.move("staging/x-1", "files/a")

    assert on_disk(tmp_path) == ["files/a"]
    assert [p.name for p in (tmp_path / "staging").iterdir()] == []
    with pytest.raises(errors.NotFound):
        await objects.move("staging/x-1", "files/a")


async def test_a_name_stands_only_for_bytes_that_are_on_the_disk_and_lasts_itself(
    tmp_path: Path,
) -> None:
    done: list[tuple[str, bool]] = []

    def to_disk(path: Path) -> None:
        done.append((str(path.relative_to(tmp_path)), (tmp_path / "files" / "a").exists()))

    objects = Objects(LocalStore(tmp_path), tmp_path, to_disk=to_disk)
    await objects.put("staging/x-1", stream(1), staged=True)
    assert done == []

    await objects.move("staging/x-1", "files/a")
    assert done[0] == ("staging/x-1", False)
    assert sorted(done[1:]) == [(".", True), ("files", True)]

    # The folder's own name lasts by now; that of another file in it does not.
    done.clear()
    await objects.put("files/b", stream(1))
    assert done == [("files/b", True), ("files", True)]


@pytest.mark.parametrize("key", ["../a", "/a", "a/../../b", "a//b", ""])
async def test_no_key_leads_out_of_the_folder(objects: Objects, tmp_path: Path, key: str) -> None:
    with pytest.raises(errors.UnsafePath):
        await objects.put(key, stream(1))
    assert on_disk(tmp_path) == []


async def test_an_allowed_location_is_read_and_no_other(tmp_path: Path) -> None:
    (tmp_path / "in" / "day").mkdir(parents=True)
    (tmp_path / "in" / "day" / "a").write_bytes(b"1")
    (tmp_path / "in-not").mkdir()
    (tmp_path / "in-not" / "a").write_bytes(b"2")
    allowed = f"file://{tmp_path}/in"
    places = Locations([allowed + "/"])

    assert await taken(places.open(allowed, "day/a")) == b"1"
    assert await taken(places.open(f"{allowed}/day/", "a")) == b"1"
    for location in (f"file://{tmp_path}", f"{allowed}-not", "in", "", "az://in"):
        with pytest.raises(errors.LocationNotAllowed):
            await taken(places.open(location, "a"))
    for location, path in ((f"{allowed}/..", "a"), (allowed, "../in-not/a"), (f"{allowed}/.", "a")):
        with pytest.raises(errors.UnsafePath):
            await taken(places.open(location, path))
    with pytest.raises(errors.NotFound):
        await taken(places.open(allowed, "b"))
    with pytest.raises(errors.NotFound):
        await taken(Locations([f"file://{tmp_path}/gone"]).open(f"file://{tmp_path}/gone", "a"))


async def test_no_link_at_a_location_is_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(b"s")
    (tmp_path / "in" / "file").symlink_to(tmp_path / "secret")
    (tmp_path / "in" / "near").symlink_to("file")
    (tmp_path / "in" / "folder").symlink_to(tmp_path)
    places = Locations([f"file://{tmp_path}/in"])

    for path in ("file", "near", "folder/secret"):
        with pytest.raises(errors.UnsafePath):
            await taken(places.open(f"file://{tmp_path}/in", path))


async def test_only_plain_files_of_a_location_are_read_and_nothing_is_waited_for(
    tmp_path: Path,
) -> None:
    place = tmp_path / "in"
    (place / "day").mkdir(parents=True)
    (place / "a").write_bytes(b"1")
    os.mkfifo(place / "pipe")
    os.mkfifo(place / "day" / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place / "socket"))
    places = Locations([f"file://{place}"])

    for path in ("pipe", "day/pipe", "day", "socket"):
        with pytest.raises(errors.UnsafePath):
            await asyncio.wait_for(taken(places.open(f"file://{place}", path)), 10)
    for path in ("a/b", "day/b", "b"):
        with pytest.raises(errors.NotFound):
            await taken(places.open(f"file://{place}", path))
    assert await taken(places.open(f"file://{place}", "a")) == b"1"


async def test_the_folder_of_a_location_may_itself_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a").write_bytes(b"1")
    (tmp_path / "in").symlink_to(tmp_path / "real")

    places = Locations([f"file://{tmp_path}/in"])

    assert await taken(places.open(f"file://{tmp_path}/in", "a")) == b"1"
