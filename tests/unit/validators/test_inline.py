"""Files that come along with an order: taken like those that are fetched, and believed as little."""

from __future__ import annotations

import base64
from dataclasses import replace
from typing import Any

import pytest

from tests.unit.validators.world import Running, World, line
from validators.agent.source import announced
from validators.rules.case import Announced


def told(world: World, item: Announced, **other: Any) -> dict[str, Any]:
    """Return the line of an order whose files come along; `other` replaces what stands for some."""
    files = {
        path: base64.b64encode(data).decode()
        for path, data in world.service.files[item.content.evidence].items()
    }
    return {**line(item), "files": files | other}


async def take(us: Running, world: World, told_line: Any) -> None:
    world.service.lines.append(told_line)
    await us.house.read_feed()
    await us.house.drain()


async def test_files_that_came_along_are_not_asked_for_and_are_kept(
    world: World, us: Running
) -> None:
    item = world.order()
    await take(us, world, told(world, item))

    assert us.verdict(item) == ("approve", "")
    assert world.service.fetched == []
    claim = us.agent._checker.statement(item)
    for entry in claim.entries:
        assert us.kept.path(entry).exists()
        assert us.kept.read(entry) == world.service.files[item.content.evidence][entry.path]


@pytest.mark.parametrize("lie", [base64.b64encode(b"other").decode(), "", "%%", None, 5, ["A"]])
async def test_a_wrong_file_that_came_along_is_fetched_and_the_verdict_is_the_same(
    world: World, us: Running, lie: Any
) -> None:
    item = world.order()
    await take(us, world, told(world, item, **{"samples.csv": lie}))

    assert us.verdict(item) == ("approve", "")
    assert world.service.fetched == ["samples.csv"]


async def test_what_is_wrong_both_ways_is_refused(world: World, us: Running) -> None:
    item = world.order()
    await world.propose(item)
    world.service.files[item.content.evidence]["samples.csv"] = b"other"
    await take(us, world, told(world, item))

    assert us.verdict(item) == ("refuse", "DIGEST_MISMATCH")
    assert world.service.fetched == ["samples.csv"]
    assert list(us.kept._folder.iterdir()) == []


async def test_files_that_the_statement_does_not_name_come_to_nothing(
    world: World, us: Running
) -> None:
    item = world.order()
    await take(us, world, told(world, item, **{"../evil": "AAAA", "more.csv": "AAAA"}))

    assert us.verdict(item) == ("approve", "")
    assert len(list(us.kept._folder.iterdir())) == 2


@pytest.mark.parametrize("junk", [None, 5, "files", [], [["samples.csv", "AAAA"]]])
async def test_files_that_are_none_are_fetched(world: World, us: Running, junk: Any) -> None:
    item = world.order()
    await take(us, world, {**line(item), "files": junk})

    assert us.verdict(item) == ("approve", "")
    assert sorted(world.service.fetched) == ["note.txt", "samples.csv"]


async def test_the_journal_holds_no_files(world: World, us: Running) -> None:
    item = world.order()
    data = world.service.files[item.content.evidence]["samples.csv"]
    await take(us, world, told(world, item))

    journal = (us.kept._folder.parent / "journal.jsonl").read_bytes()
    assert item.order.hex().encode() in journal
    assert base64.b64encode(data)[:64] not in journal


def test_files_change_nothing_of_which_order_it_is(world: World) -> None:
    item = world.order()

    assert announced(told(world, item)) == item
    assert announced(told(world, item)).files
    assert replace(item, files={"a": b""}) == item
