"""Small datasets in the lines of the feed: read once for all who read the feed."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from typing import Any

import pytest

from ledger_service.domain import errors
from ledger_service.domain.records import Announcement
from ledger_service.services import inline
from ledger_service.services.inline import MOST_BYTES, Inline
from tests.unit.services.gateway import Packed
from tests.unit.services.site import Site, World


class Counting:
    """An object store that says how often it was read, and can be away."""

    def __init__(self, objects: Any) -> None:
        self._objects, self.read, self.away = objects, 0, False

    async def get(self, key: str) -> AsyncIterator[bytes]:
        self.read += 1
        await asyncio.sleep(0)
        if self.away:
            raise errors.StorageError("away")
        async for chunk in self._objects.get(key):
            yield chunk


@pytest.fixture
def site() -> Site:
    return Site(World())


async def told(site: Site, count: int = 1) -> tuple[list[Packed], list[Announcement]]:
    packed = [site.world.gateway.pack() for _ in range(count)]
    for item in packed:
        await site.post(item)
    await site.anchor.step()
    return packed, list(await site.track.feed(0, 100))


def whole(files: Any) -> dict[str, bytes]:
    return {path: base64.b64decode(text) for path, text in files.items()}


async def test_three_readers_at_once_and_later_cost_one_reading_of_each_file(site: Site) -> None:
    packed, lines = await told(site, 2)
    objects: Any = Counting(site.world.objects)
    asked = Inline(objects)

    answers = await asyncio.gather(*(asked.files(lines, MOST_BYTES) for _ in range(3)))
    answers.append(await asked.files(lines, MOST_BYTES))

    assert objects.read == sum(len(item.files) for item in packed)
    for found in answers:
        assert [whole(found[line.order]) for line in lines] == [item.files for item in packed]
    assert asked._turns == {}


async def test_a_reader_that_goes_away_takes_nothing_from_the_others(site: Site) -> None:
    (packed,), lines = await told(site)
    asked = Inline(Counting(site.world.objects))  # type: ignore[arg-type]  # only reads
    first = asyncio.create_task(asked.files(lines, MOST_BYTES))
    second = asyncio.create_task(asked.files(lines, MOST_BYTES))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    first.cancel()

    assert whole((await second)[lines[0].order]) == packed.files


async def test_bytes_that_cannot_be_read_are_left_out_and_told_once_they_can(site: Site) -> None:
    (packed,), lines = await told(site)
    objects: Any = Counting(site.world.objects)
    asked = Inline(objects)

    objects.away = True
    assert await asked.files(lines, MOST_BYTES) == {}
    objects.away = False
    assert whole((await asked.files(lines, MOST_BYTES))[lines[0].order]) == packed.files


async def test_bytes_of_another_size_than_was_sealed_are_left_out(site: Site) -> None:
    _, lines = await told(site)
    kept: dict[str, bytes] = site.world.objects.objects  # type: ignore[attr-defined]
    for key in [key for key in kept if key.startswith("files/")]:
        kept[key] += b"x"

    assert await site.inline.files(lines, MOST_BYTES) == {}


async def test_what_is_no_order_or_is_not_asked_for_has_no_files(site: Site) -> None:
    _, lines = await told(site)
    other = Announcement(9, "close-out", lines[0].order, {})

    assert await site.inline.files(lines, 0) == {}
    assert await site.inline.files([other], MOST_BYTES) == {}
    assert await site.inline.files([], MOST_BYTES) == {}


async def test_what_is_kept_for_others_is_bounded(site: Site) -> None:
    packed, lines = await told(site, 4)
    size = sum(len(data) for data in packed[0].files.values())
    asked = Inline(site.world.objects, kept_bytes=4 * size)

    found = await asked.files(lines, MOST_BYTES)

    assert len(found) == 4
    assert 0 < len(asked._kept) < 4
    assert asked._bytes == sum(map(inline._weight, asked._kept.values())) <= 4 * size
