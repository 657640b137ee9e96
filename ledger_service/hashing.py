"""Hashing a file that lies on this machine, on several cores, as fast as they hash.

Leaves are independent, so each thread reads and hashes leaves of its own. It reads into a buffer
that it keeps: a fresh one for each leaf costs as much again in page faults as the copy itself. No
mapping of the file: one that is cut short meanwhile would end the process.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from ledger_service.domain import dataset, errors, merkle
from ledger_service.domain.ids import FileRoot

READ_BYTES = 1024 * 1024
RUN_BYTES = 16 * 1024 * 1024
MAX_THREADS = 8

Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Hashed:
    """A file's root, and its size in bytes."""

    root: FileRoot
    size: int


def cores() -> int:
    """Return how many threads are worth having here."""
    return min(len(os.sched_getaffinity(0)), MAX_THREADS)


def hash_file(
    path: Path,
    chunk: int = dataset.DEFAULT_CHUNK,
    *,
    threads: int = 0,
    progress: Progress = lambda _: None,
) -> Hashed:
    """Return root and size; `threads` 0: one per core. `progress` is told bytes hashed.

    Memory: one MiB a thread, whatever the size. Raise DigestMismatch if the file becomes shorter
    meanwhile, OSError.
    """
    dataset.check_chunk(chunk)
    with path.open("rb", buffering=0) as file:
        reader = _Reader(file.fileno(), path, os.fstat(file.fileno()).st_size, chunk)
        tree = merkle.TreeHasher()
        for run in reader.runs(threads or cores()):
            for leaf in run.leaves:
                tree.append(leaf)
            progress(run.size)
    return Hashed(FileRoot(tree.root()), reader.size)


@dataclass(frozen=True, slots=True)
class _Run:
    leaves: list[bytes]
    size: int


class _Reader:
    """Hashes runs of leaves of one open file, in any number of threads."""

    def __init__(self, descriptor: int, path: Path, size: int, chunk: int) -> None:
        self._descriptor = descriptor
        self._path = path
        self._chunk = chunk
        self._own = threading.local()
        self.size = size

    def runs(self, threads: int) -> Iterator[_Run]:
        """Yield all runs in order, a few of them under way at once."""
        starts = range(0, self.size, RUN_BYTES)
        if len(starts) <= 1 or threads == 1:
            yield from map(self._run, starts)
            return
        waiting: deque[Future[_Run]] = deque()
        with ThreadPoolExecutor(threads, thread_name_prefix="hash") as pool:
            for start in starts:
                waiting.append(pool.submit(self._run, start))
                if len(waiting) > 2 * threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()

    def _run(self, start: int) -> _Run:
        end = min(start + RUN_BYTES, self.size)
        return _Run([self._leaf(at) for at in range(start, end, self._chunk)], end - start)

    def _leaf(self, start: int) -> bytes:
        leaf, buffer = merkle.new_leaf(), self._buffer()
        at, end = start, min(start + self._chunk, self.size)
        while at < end:
            piece = buffer[: min(end - at, READ_BYTES)]
            count = os.preadv(self._descriptor, [piece], at)
            if not count:
                raise errors.DigestMismatch("It became shorter while it was read.", path=self._path)
            leaf.update(piece[:count])
            at += count
        return leaf.digest()

    def _buffer(self) -> memoryview:
        if not hasattr(self._own, "buffer"):
            self._own.buffer = memoryview(bytearray(READ_BYTES))
        found: memoryview = self._own.buffer
        return found
