"""Hashing a file that lies on this machine, on several cores, as fast as they hash.

Leaves are independent, so each thread hashes leaves of its own. A large file is mapped, not read:
copying it out of the page cache costs a seventh of the hashing, the mapping next to nothing where
the cache holds it in large pieces. The price: a mapped file that somebody cuts short meanwhile
ends this process (SIGBUS), as it does with other programs that map what they read.
"""

from __future__ import annotations

import contextlib
import mmap
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ledger_service.domain import dataset, merkle
from ledger_service.domain.ids import FileRoot

READ_BYTES = 1024 * 1024
RUN_BYTES = 8 * 1024 * 1024  #: what one thread takes at a time; smaller files are read
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

    Raise BadChunkSize, OSError.
    """
    dataset.check_chunk(chunk)
    with path.open("rb", buffering=0) as file:
        if os.fstat(file.fileno()).st_size <= RUN_BYTES:
            return _read(file, chunk, progress)
        return _mapped(file, chunk, threads or cores(), progress)


def _read(file: BinaryIO, chunk: int, progress: Progress) -> Hashed:
    hasher = dataset.FileHasher(chunk)
    while data := file.read(READ_BYTES):
        hasher.update(data)
        progress(len(data))
    return Hashed(hasher.root(), hasher.size)


def _mapped(file: BinaryIO, chunk: int, threads: int, progress: Progress) -> Hashed:
    tree = merkle.TreeHasher()
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
        with contextlib.suppress(AttributeError, OSError):  # not on every system
            mapped.madvise(mmap.MADV_HUGEPAGE)
        with ThreadPoolExecutor(threads, thread_name_prefix="hash") as pool:
            for leaves, size in _in_order(pool, view, chunk, 2 * threads):
                for leaf in leaves:
                    tree.append(leaf)
                progress(size)
        return Hashed(FileRoot(tree.root()), len(view))


def _in_order(
    pool: ThreadPoolExecutor, view: memoryview, chunk: int, ahead: int
) -> Iterator[tuple[list[bytes], int]]:
    """Yield the leaf hashes and sizes of all runs in order, at most so many runs ahead."""
    waiting: deque[Future[tuple[list[bytes], int]]] = deque()
    for start in range(0, len(view), RUN_BYTES):
        waiting.append(pool.submit(_run, view, start, chunk))
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _run(view: memoryview, start: int, chunk: int) -> tuple[list[bytes], int]:
    end = min(start + RUN_BYTES, len(view))
    leaves = []
    for at in range(start, end, chunk):
        with view[at : min(at + chunk, end)] as piece:
            leaves.append(merkle.leaf_hash(piece))
    return leaves, end - start
