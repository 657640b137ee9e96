from __future__ import annotations

import asyncio
import errno
import json
import threading
from pathlib import Path

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Approve, Complete, Refuse
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content
from tests.unit.validators.outside import files_of_at_most
from tests.unit.validators.world import World
from validators.agent import voice
from validators.journal import file
from validators.journal.book import Book, ReadBook
from validators.journal.file import FILE_NAME, Journal


def cursor(number: int) -> dict[str, object]:
    return {"kind": "feed", "next": number}


def test_what_was_written_is_read_again(tmp_path: Path) -> None:
    book = Book(tmp_path / "new" / "folder")
    book.write(cursor(1), cursor(2))
    book.write({"kind": "of a later version"})
    book.close()

    assert ReadBook(tmp_path / "new" / "folder").memory.feed == 2


@pytest.mark.parametrize("torn", [b"{", b'{"kind":"feed","next":9}', b"\x00\xff"])
def test_a_torn_last_line_is_cut_off_and_writing_goes_on(tmp_path: Path, torn: bytes) -> None:
    book = Book(tmp_path)
    book.write(cursor(1))
    book.close()
    with (tmp_path / FILE_NAME).open("ab") as raw:
        raw.write(torn)

    assert ReadBook(tmp_path).memory.feed == 1
    book = Book(tmp_path)
    book.write(cursor(3))
    book.close()
    assert ReadBook(tmp_path).memory.feed == 3


def test_a_torn_line_longer_than_a_read_is_cut_off_too(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'{"kind":"feed","next":1}\n' + b"x" * 200_000)

    Journal(tmp_path).close()

    assert (tmp_path / FILE_NAME).read_bytes() == b'{"kind":"feed","next":1}\n'


@pytest.mark.parametrize("line", [b"nonsense\n", b"[]\n", b"5\n"])
def test_a_whole_line_that_is_no_entry_stops_the_agent_with_its_place(
    tmp_path: Path, line: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(b'{"kind":"feed","next":1}\n' + line)

    with pytest.raises(errors.BrokenLog, match="line 2"):
        ReadBook(tmp_path)


def test_an_entry_that_could_not_be_written_does_not_come_to_life_later(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(cursor(1))
    whole = (tmp_path / FILE_NAME).read_bytes()
    with files_of_at_most(len(whole) + 7), pytest.raises(errors.StorageError):
        book.write({**cursor(2), "padding": "x" * 3000})
    assert (book.memory.feed, (tmp_path / FILE_NAME).read_bytes()) == (1, whole)
    book.write({"kind": "block", "number": 7})
    book.close()

    again = ReadBook(tmp_path).memory
    assert (again.feed, again.block) == (1, 7)


async def test_who_waits_for_what_was_jotted_at_the_same_time_shares_one_fsync(
    tmp_path: Path,
) -> None:
    done: list[int] = []
    book = Book(tmp_path, done.append)
    for number in range(1, 31):
        book.jot(cursor(number))
    done.clear()
    assert ReadBook(tmp_path).memory.feed == 30  # what a kill leaves
    await asyncio.gather(*(book.sync() for _ in range(10)))
    assert len(done) == 1
    await book.sync()
    book.jot(cursor(31))
    book.write(cursor(32))
    await book.sync()
    book.close()

    assert len(done) == 2


async def test_lines_that_an_fsync_lost_end_the_book_and_nothing_is_written_behind_them(
    tmp_path: Path,
) -> None:
    broken = True

    def fsync(number: int) -> None:
        if broken:
            raise OSError(errno.EIO, f"descriptor {number}")

    book = Book(tmp_path, fsync)
    with pytest.raises(errors.StorageError):
        book.write(cursor(1))  # nobody relies on anything yet
    broken = False
    book.jot(cursor(2))
    broken = True
    with pytest.raises(errors.StorageError):
        await book.sync()
    for again in (book.write, book.jot):
        with pytest.raises(errors.StorageError, match="start the agent again"):
            again(cursor(3))
    for wait in (book.sync, book.demand_whole):
        with pytest.raises(errors.StorageError, match="start the agent again"):
            await wait()
    book.close()

    assert ReadBook(tmp_path).memory.feed == 2


def test_an_fsync_error_that_one_thread_is_told_of_is_another_ones_too(tmp_path: Path) -> None:
    others: list[threading.Thread] = []
    told: list[errors.StorageError] = []

    def sync() -> None:
        try:
            journal.sync()
        except errors.StorageError as exc:
            told.append(exc)

    def fsync(number: int) -> None:
        if others:
            return  # the system tells of an error once
        others.append(threading.Thread(target=sync))
        others[0].start()
        others[0].join(0.5)  # it is done by then, if nothing makes it wait
        raise OSError(errno.EIO, f"descriptor {number}")

    journal = file.Journal(tmp_path, fsync)
    journal.write(cursor(1), durable=False)
    with pytest.raises(errors.StorageError):
        journal.write(cursor(2))
    others[0].join()

    assert len(told) == 1
    with pytest.raises(errors.StorageError, match="start the agent again"):
        journal.write(cursor(3))
    journal.close()


async def test_an_fsync_error_while_half_a_line_is_cut_off_is_not_passed_over(
    tmp_path: Path,
) -> None:
    failing = True

    def fsync(number: int) -> None:
        if failing:
            raise OSError(errno.EIO, f"descriptor {number}")

    book = Book(tmp_path, fsync)
    book.jot(cursor(1))
    with files_of_at_most(100), pytest.raises(errors.StorageError):
        book.jot({**cursor(2), "padding": "x" * 3000})
    failing = False  # the system tells of an error once

    with pytest.raises(errors.StorageError, match="start the agent again"):
        await book.sync()
    book.close()


def test_a_second_agent_in_the_same_folder_is_refused_and_a_reader_is_not(tmp_path: Path) -> None:
    book = Book(tmp_path)
    with pytest.raises(errors.InUse):
        Book(tmp_path)
    reader = ReadBook(tmp_path)

    assert file.is_open(tmp_path)
    with pytest.raises(errors.InUse):
        reader.write(cursor(1))
    book.close()
    assert not file.is_open(tmp_path)
    assert not file.is_open(tmp_path / "nowhere")


def test_entries_that_belong_together_are_one_line(tmp_path: Path) -> None:
    book = Book(tmp_path)
    book.write(cursor(1), {"kind": "block", "number": 7})
    book.close()

    (line,) = (tmp_path / FILE_NAME).read_bytes().splitlines()
    assert json.loads(line)["kind"] == "together"
    assert (book.memory.feed, book.memory.block) == (1, 7)


@pytest.fixture
def content(world: World) -> Content:
    return world.order().content


def test_what_may_be_signed_is_read_again_from_its_json(content: Content) -> None:
    spoken: list[voice.Spoken] = [
        Approve((content,), (1,), (ids.ResultDigest(bytes(32)),)),
        Refuse(content, 1, 7, b"\x01" * 32),
        Complete(content, Outcome.FALSE_ALARM, b"\x02" * 32),
        Approve((content, content), (1, 1), (ids.ResultDigest(bytes(32)),) * 2),
    ]

    assert [voice.load(json.loads(json.dumps(voice.dump(call)))) for call in spoken] == spoken


@pytest.mark.parametrize("fields", [{}, {"say": "approve"}, {"say": "pay", "content": None}])
def test_what_is_no_call_is_not_signed(fields: dict[str, object]) -> None:
    with pytest.raises(errors.BrokenLog):
        voice.load(fields)
    with pytest.raises(errors.BrokenLog):
        voice.load({**fields, "content": {}})


async def test_no_key_and_no_password_is_in_the_journal_but_every_transaction_is(
    world: World,
) -> None:
    async with world.agent() as us:
        await us.house.start()
        await us.agent.consider(world.order())

    text = (world.folder / "agent" / FILE_NAME).read_text(encoding="utf-8")
    assert world.sent[0].hex() in text
    assert "password" not in text
    assert "private" not in text.lower()


async def test_a_journal_that_is_lost_is_rebuilt_from_the_chain_and_the_bytes(
    world: World,
) -> None:
    first = world.order(world.claim(seed=1))
    async with world.agent("one") as before:
        await before.house.start()
        await before.agent.consider(first)
        await world.ledger.mine()
        await world.propose(first)
    second = world.order(world.claim(seed=2))
    async with world.agent("two") as us:
        await us.house.start()

        assert us.verdict(first) == ("approve", "")
        assert us.wire.sent == []
        await us.agent.consider(second)
        assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")


async def test_our_copies_of_what_we_approved_are_fetched_anew_where_the_folder_was_lost(
    world: World,
) -> None:
    item = world.order()
    async with world.agent("one") as before:
        await before.house.start()
        await before.agent.consider(item)
        await world.ledger.mine()
        await world.propose(item)
        mine = sorted(path.name for path in (world.folder / "one" / "kept").iterdir())
    async with world.agent("two") as us:
        await us.house.start()
        folder = world.folder / "two" / "kept"
        assert list(folder.iterdir()) == []
        world.service.down = True
        await us.house.tend()
        await us.agent.copies.drain()
        assert item.order in us.memory.copies
        world.service.down = False
        world.clock.advance(seconds=11)
        await us.house.tend()
        await us.agent.copies.drain()

        assert sorted(path.name for path in folder.iterdir()) == mine
        assert us.memory.copies == {}
        assert us.wire.sent == []


async def test_nothing_new_is_judged_before_what_was_said_is_recalled(world: World) -> None:
    first, second = world.order(world.claim(seed=1)), world.order(world.claim(seed=2))
    async with world.agent("one") as before:
        await before.house.start()
        await before.agent.consider(first)
        await world.ledger.mine()
        await world.propose(first)
    world.service.down = True
    async with world.agent("two") as us:
        await us.house.start()
        await us.agent.consider(second)
        assert us.wire.sent == []
        world.service.down = False
        for _ in range(3):
            world.clock.advance(seconds=3)
            await us.house.tend()
            await us.house.drain()

        assert us.verdict(first) == ("approve", "")
        assert us.verdict(second) == ("refuse", "EPISODE_REPEATED")
