"""Files that are whole or not there, whatever kills the process."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from ledger_service.domain import errors

T = TypeVar("T")


async def on_disk(destination: str, work: Callable[[], T]) -> T:
    """Run the work in a thread. Raise DestinationDown where the disk does not let it."""
    try:
        return await asyncio.to_thread(work)
    except OSError as exc:
        raise errors.DestinationDown(str(exc), destination=destination) from exc


@contextmanager
def locked(folder: Path, name: str) -> Iterator[None]:
    """Hold a lock of the folder: one writer at a time, over all threads and processes."""
    make_folder(folder)
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def lock_of(key: str) -> str:
    """Return the lock of a key (its last character is to be evenly spread).

    Several locks let several writers wait for the disk at once.
    """
    return f".lock-{key[-1].lower()}"


def make_folder(folder: Path) -> None:
    """Make a folder that survives a power cut, with those above it."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        sync_folder(folder.parent)


def write(path: Path, data: bytes) -> None:
    """Replace a file's bytes as one act, durably. The caller holds the lock of the folder."""
    make_folder(path.parent)
    temporary = path.with_name(f".{path.name}.tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def move(source: Path, target: Path) -> None:
    """Rename within one file system, durably."""
    make_folder(target.parent)
    source.replace(target)
    sync_folder(target.parent)
    sync_folder(source.parent)


def remove(path: Path) -> None:
    """Delete, durably; nothing happens if it is not there."""
    if path.exists():
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the folder's entries durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
