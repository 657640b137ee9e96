"""The ObjectStore port: the store in memory, a local folder, and obstore's own memory."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from ledger_service import ports
from ledger_service.domain import errors
from ledger_service.storage.objects import READ_BYTES, open_objects
from ledger_service.testing import MemoryObjects


@pytest.fixture(params=["fake", "folder", "memory"])
def objects(request: pytest.FixtureRequest, tmp_path: Path) -> ports.ObjectStore:
    if request.param == "fake":
        return MemoryObjects()
    return open_objects("memory://" if request.param == "memory" else str(tmp_path / "objects"))


async def chunks(*pieces: bytes) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


async def broken() -> AsyncIterator[bytes]:
    yield b"first"
    raise errors.TruncatedBody


async def read(objects: ports.ObjectStore, key: str, **where: int) -> bytes:
    return b"".join([piece async for piece in objects.get(key, **where)])


async def keys(objects: ports.ObjectStore, prefix: str) -> list[str]:
    return sorted([key async for key in objects.keys(prefix)])


@pytest.mark.parametrize(
    "pieces",
    [(), (b"",), (b"a",), (b"ab", b"", b"c"), (os.urandom(READ_BYTES),) * 3 + (b"end",)],
    ids=["nothing", "empty", "one", "some", "large"],
)
async def test_what_was_put_is_what_is_got(
    objects: ports.ObjectStore, pieces: tuple[bytes, ...]
) -> None:
    whole = b"".join(pieces)

    assert await objects.put("files/a", chunks(*pieces)) == len(whole)
    assert await objects.size("files/a") == len(whole)
    assert await read(objects, "files/a") == whole


async def test_a_put_replaces_what_was_there(objects: ports.ObjectStore) -> None:
    await objects.put("files/a", chunks(b"long long long"))
    await objects.put("files/a", chunks(b"short"))

    assert await read(objects, "files/a") == b"short"


async def test_a_put_that_breaks_off_leaves_what_was_there(objects: ports.ObjectStore) -> None:
    await objects.put("files/a", chunks(b"before"))

    for key in ("files/a", "files/b"):
        with pytest.raises(errors.LedgerError):
            await objects.put(key, broken())

    assert await read(objects, "files/a") == b"before"
    assert await objects.size("files/b") is None
    assert await keys(objects, "files") == ["files/a"]


@pytest.mark.parametrize(
    ("start", "length", "expected"),
    [
        (0, 3, b"012"),
        (2, 3, b"234"),
        (7, None, b"789"),
        (8, 100, b"89"),
        (0, 0, b""),
        (10, 5, b""),
        (50, None, b""),
    ],
)
async def test_a_range_is_cut_at_the_end(
    objects: ports.ObjectStore, start: int, length: int | None, expected: bytes
) -> None:
    await objects.put("files/a", chunks(b"0123456789"))

    found = b"".join([piece async for piece in objects.get("files/a", start=start, length=length)])

    assert found == expected


async def test_what_is_not_there_is_named_at_the_first_step(objects: ports.ObjectStore) -> None:
    for where in ({}, {"start": 3}, {"length": 3}):
        with pytest.raises(errors.NotFound):
            await read(objects, "files/none", **where)
    with pytest.raises(errors.NotFound):
        await objects.move("files/none", "files/a")
    assert await objects.size("files/none") is None


async def test_a_move_replaces_its_target(objects: ports.ObjectStore) -> None:
    await objects.put("incoming/a", chunks(b"new"))
    await objects.put("files/a", chunks(b"old"))

    await objects.move("incoming/a", "files/a")

    assert await read(objects, "files/a") == b"new"
    assert await objects.size("incoming/a") is None


async def test_deleting_twice_is_no_error(objects: ports.ObjectStore) -> None:
    await objects.put("files/a", chunks(b"a"))

    await objects.delete("files/a")
    await objects.delete("files/a")

    assert await objects.size("files/a") is None


async def test_keys_are_listed_below_a_prefix_and_not_beside_it(objects: ports.ObjectStore) -> None:
    for key in ("files/a", "files/deep/b", "files2/c", "other/d"):
        await objects.put(key, chunks(b""))

    assert await keys(objects, "files") == ["files/a", "files/deep/b"]
    assert await keys(objects, "files/") == ["files/a", "files/deep/b"]
    assert await keys(objects, "nothing") == []


@pytest.mark.parametrize("key", ["../a", "/a", "files/../../a", "files//a", "", "files/./a"])
async def test_a_key_that_leads_elsewhere_is_refused(objects: ports.ObjectStore, key: str) -> None:
    await objects.put("files/a", chunks(b"a"))

    with pytest.raises(errors.UnsafePath):
        await objects.put(key, chunks(b"x"))
    with pytest.raises(errors.UnsafePath):
        await objects.move("files/a", key)


async def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "objects").mkdir()
    objects = open_objects(str(tmp_path / "objects"))
    (tmp_path / "objects" / "files").write_text("a file where a folder must be", encoding="utf-8")

    with pytest.raises(errors.StorageError):
        await objects.put("files/a", chunks(b"a"))
