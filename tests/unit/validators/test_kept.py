from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import Path

import pytest

from ledger_service.domain import errors, ids, profile
from ledger_service.domain.dataset import Entry, FileHasher
from tests.unit.validators.world import Running, World
from validators.agent.kept import Kept, NoRoom

MIB = 1024 * 1024


def entry_of(data: bytes, path: str = "f") -> Entry:
    hasher = FileHasher(64 * 1024)
    hasher.update(data)
    return Entry(path, len(data), "text/plain", hasher.chunk, hasher.root())


class Stream:
    """Yields pieces; remembers how many were taken, and whether it was closed."""

    def __init__(self, *pieces: bytes, times: int = 1) -> None:
        self.pieces = pieces * times
        self.taken = 0
        self.closed = False

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        try:
            for piece in self.pieces:
                self.taken += 1
                yield piece
        finally:
            self.closed = True


@pytest.fixture
def kept(tmp_path: Path) -> Kept:
    made = Kept(tmp_path / "kept", 1000 * MIB)
    made.tidy()
    return made


@pytest.mark.parametrize("size", [0, 1, 64 * 1024, 3 * MIB + 5])
async def test_a_file_is_kept_as_it_came_whatever_its_pieces(kept: Kept, size: int) -> None:
    data = bytes(range(256)) * (size // 256 + 1)
    data = data[:size]
    entry = entry_of(data)
    await kept.take(
        entry, Stream(*(data[at : at + 99_991] for at in range(0, size, 99_991))).chunks()
    )

    assert kept.has(entry)
    assert kept.read(entry) == data


async def test_a_stream_without_end_is_left_at_the_first_byte_too_many(
    tmp_path: Path, kept: Kept
) -> None:
    stream = Stream(b"x" * 1000, times=10**6)

    with pytest.raises(errors.DigestMismatch):
        await kept.take(entry_of(b"x" * 2500), stream.chunks())
    assert stream.taken == 3
    assert stream.closed
    assert list((tmp_path / "kept").iterdir()) == []


@pytest.mark.parametrize("data", [b"", b"short", b"other bytes, same size!", b"longer than it is"])
async def test_other_bytes_are_not_kept(tmp_path: Path, kept: Kept, data: bytes) -> None:
    entry = entry_of(b"these bytes and no other")

    with pytest.raises(errors.DigestMismatch):
        await kept.take(entry, Stream(data).chunks())
    assert not kept.has(entry)
    assert list((tmp_path / "kept").iterdir()) == []


async def test_half_a_file_is_not_there_and_is_tidied_away(tmp_path: Path, kept: Kept) -> None:
    (tmp_path / "kept" / ".part-1").write_bytes(b"half")
    entry = entry_of(b"whole")
    kept.path(entry).write_bytes(b"who")

    assert not kept.has(entry)
    kept.tidy()
    assert not (tmp_path / "kept" / ".part-1").exists()


async def test_a_copy_that_our_disk_changed_is_found_out(kept: Kept) -> None:
    entry = entry_of(b"whole")
    await kept.take(entry, Stream(b"whole").chunks())
    kept.path(entry).write_bytes(b"whale")

    with pytest.raises(errors.DigestMismatch):
        kept.read(entry)
    kept.drop(entry)
    with pytest.raises(errors.NotFound):
        kept.read(entry)


async def test_a_disk_that_is_full_or_gone_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "kept").write_bytes(b"a file where the folder should be")

    with pytest.raises((errors.StorageError, FileExistsError)):
        await Kept(tmp_path / "kept", 1000 * MIB).take(entry_of(b"x"), Stream(b"x").chunks())


async def test_fresh_files_go_with_the_last_order_that_needs_them(kept: Kept) -> None:
    entry, one, two = entry_of(b"whole"), ids.OrderId(b"1" * 32), ids.OrderId(b"2" * 32)
    await kept.take(entry, Stream(b"whole").chunks())
    for order in (one, two):
        kept.use(entry, order)
    kept.let_go(one)
    assert kept.read(entry) == b"whole"
    kept.let_go(two)
    assert not kept.has(entry)


async def test_what_is_kept_stays_whoever_lets_go_and_whoever_starts_anew(kept: Kept) -> None:
    entry, one, two = entry_of(b"whole"), ids.OrderId(b"1" * 32), ids.OrderId(b"2" * 32)
    await kept.take(entry, Stream(b"whole").chunks())
    kept.use(entry, one)
    await kept.keep(one)
    kept.use(entry, two)
    kept.let_go(two)
    kept.tidy()

    assert kept.read(entry) == b"whole"


async def test_no_more_is_kept_than_the_policy_says_until_somebody_makes_room(
    tmp_path: Path,
) -> None:
    kept = Kept(tmp_path / "kept", 10)
    first, second = entry_of(b"sixsix"), entry_of(b"seven77")
    await kept.take(first, Stream(b"sixsix").chunks())
    stream = Stream(b"seven77")
    with pytest.raises(NoRoom, match="10"):
        await kept.take(second, stream.chunks())
    assert stream.taken == 0
    with pytest.raises(errors.DigestMismatch):  # what did not come takes no room
        await kept.take(entry_of(b"four"), Stream(b"f").chunks())
    kept._present(first).unlink()
    await kept.take(second, stream.chunks())

    assert kept.read(second) == b"seven77"


async def test_the_bytes_of_what_is_refused_are_not_kept(world: World, us: Running) -> None:
    claim = world.claim()
    item = world.order(replace(claim, score=profile.quantity(claim.score.value + 500)))
    await us.agent.consider(item)

    assert us.verdict(item) == ("refuse", "SCORE_CONFLICT")
    assert world.service.fetched == ["note.txt", "samples.csv"]
    assert list(us.kept._folder.iterdir()) == []


async def test_what_the_rules_refuse_without_its_bytes_is_not_fetched(
    world: World, us: Running
) -> None:
    old = world.claim(seed=1)
    world.clock.advance(days=31)
    for wrong in (
        world.order(old),
        world.order(world.claim(seed=2), cost=1),
        world.order(world.claim(seed=3, previous=ids.EvidenceId(bytes(32)))),
    ):
        await us.agent.consider(wrong)
        assert us.verdict(wrong)[0] == "refuse"

    assert world.service.fetched == []


async def test_an_order_for_whose_bytes_there_is_no_room_waits_for_some(world: World) -> None:
    world.policy = world.policy.model_copy(update={"kept_max_bytes": 100})
    item = world.order()
    await world.propose(item)
    async with world.agent() as us:
        await us.house.start()
        assert us.verdict(item) == ("nothing", "")
        assert item.order in us.memory.open
        assert us.wire.sent == []
    world.policy = world.policy.model_copy(update={"kept_max_bytes": 10**9})
    async with world.agent() as us:
        await us.house.start()
        await us.house.tend()
        await us.house.drain()
        assert us.verdict(item) == ("approve", "")


async def test_what_was_approved_stays_with_us_byte_for_byte(world: World, us: Running) -> None:
    item = world.order()
    await us.agent.consider(item)
    files = world.service.files.pop(item.content.evidence)

    claim = us.checker.statement(item)
    assert {entry.path: us.kept.read(entry) for entry in claim.entries} == files
