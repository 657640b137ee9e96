from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from ledger_service.domain import dataset, errors
from ledger_service.hashing import RUN_BYTES, hash_file

PATTERN = bytes(range(251))  # a prime, so that no two leaves are equal
STEPS = (1, 70_001, 5 * 1024**2 + 3, 64 * 1024)


def in_pieces(data: bytes, chunk: int) -> dataset.FileHasher:
    at, hasher, steps = 0, dataset.FileHasher(chunk), itertools.cycle(STEPS)
    while at < len(data):
        step = next(steps)
        hasher.update(data[at : at + step])
        at += step
    return hasher


@pytest.mark.parametrize(
    ("size", "chunk"),
    [
        (0, 64 * 1024),
        (1, 64 * 1024),
        (64 * 1024, 64 * 1024),
        (1024**2, 64 * 1024),
        (RUN_BYTES + 1, 64 * 1024),
        (RUN_BYTES + 1, 1024**2),
        (2 * RUN_BYTES + 70_001, 4 * 1024**2),
    ],
)
def test_a_file_has_the_same_root_on_any_number_of_threads_and_as_a_stream(
    tmp_path: Path, size: int, chunk: int
) -> None:
    data = (PATTERN * (size // len(PATTERN) + 1))[:size]
    file = tmp_path / "data"
    file.write_bytes(data)
    streamed = in_pieces(data, chunk)

    for threads in (1, 3):
        hashed = hash_file(file, chunk, threads=threads)
        assert (hashed.root, hashed.size) == (streamed.root(), streamed.size)
    assert streamed.size == size


def test_progress_adds_up_to_the_size(tmp_path: Path) -> None:
    file = tmp_path / "data"
    file.write_bytes(bytes(RUN_BYTES * 3 + 5))
    told: list[int] = []

    hash_file(file, progress=told.append)

    assert sum(told) == RUN_BYTES * 3 + 5


def test_a_chunk_size_out_of_the_list_is_refused(tmp_path: Path) -> None:
    with pytest.raises(errors.BadChunkSize):
        hash_file(tmp_path / "absent", 4096)


def test_a_hasher_goes_on_after_its_root_was_asked_for() -> None:
    hasher, whole = dataset.FileHasher(64 * 1024), dataset.FileHasher(64 * 1024)
    for piece in (b"a" * 100_000, b"b" * 31_072, b"c"):
        hasher.update(piece)
        whole.update(piece)
        hasher.root()

    assert hasher.root() == whole.root()


def test_a_buffer_may_be_used_again_after_an_update() -> None:
    buffer, hasher = bytearray(b"x" * 1000), dataset.FileHasher()
    hasher.update(buffer)
    buffer[:] = b"y" * 1000
    hasher.update(memoryview(buffer))
    expected = dataset.FileHasher()
    expected.update(b"x" * 1000 + b"y" * 1000)

    assert hasher.root() == expected.root()
