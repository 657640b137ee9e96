from __future__ import annotations

from pathlib import Path

import pytest

from ledger_service.domain import errors
from validators.network.embedded.blocklog import BlockLog

RECORDS = [b"first", b"", b"third" * 100]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    log = BlockLog(tmp_path / "log")
    list(log.records())
    for record in RECORDS:
        log.append(record)
    log.close()
    return tmp_path / "log"


def test_what_was_appended_is_read_in_order(path: Path) -> None:
    log = BlockLog(path)

    assert list(log.records()) == RECORDS
    assert log.cut == 0


def test_a_log_that_ends_anywhere_in_a_record_gives_the_whole_records_before(path: Path) -> None:
    whole = path.read_bytes()
    last = len(whole) - len(RECORDS[2]) - 40
    for end in range(last, len(whole)):
        path.write_bytes(whole[:end])
        log = BlockLog(path)

        assert list(log.records()) == RECORDS[:2]
        assert log.cut == end - last
        assert path.stat().st_size == last
        log.close()


def test_a_cut_log_goes_on_from_where_it_was_cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])
    log = BlockLog(path)
    list(log.records())

    log.append(b"again")
    log.close()

    assert list(BlockLog(path).records()) == [*RECORDS[:2], b"again"]


def test_zeros_at_the_end_are_a_torn_tail(path: Path) -> None:
    path.write_bytes(path.read_bytes() + bytes(4096))
    log = BlockLog(path)

    assert list(log.records()) == RECORDS
    assert log.cut == 4096


@pytest.mark.parametrize("place", [0, 5, 10, 41])
def test_damage_before_the_end_is_not_guessed_at(path: Path, place: int) -> None:
    damaged = bytearray(path.read_bytes())
    damaged[place] ^= 1
    path.write_bytes(damaged)

    with pytest.raises(errors.BrokenLog):
        list(BlockLog(path).records())

    assert path.read_bytes() == damaged


def test_an_append_that_fails_leaves_the_log_as_it_was(path: Path) -> None:
    log = BlockLog(path)
    list(log.records())
    log.close()

    with pytest.raises(errors.StorageError):
        log.append(b"lost")

    assert list(BlockLog(path).records()) == RECORDS
