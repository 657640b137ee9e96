"""The agent's own copy of what it approved: files by root, hashed while they come in, durable.

A file that came in is fresh until an order of its is approved; the fresh files of an order that is
refused go, and so do those that a crash left. What is fresh need not survive a crash, so it is made
durable when it is kept, and no earlier: many files at once under load, before their approvals leave.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from pathlib import Path
from typing import BinaryIO

from ledger_service.domain import dataset, errors, ids
from ledger_service.domain.dataset import Entry

BLOCK_BYTES = 1024 * 1024
PART = ".part-"
FRESH = ".fresh-"


class NoRoom(errors.LedgerError):
    """Keeping these bytes would be more than the policy keeps: raise `kept_max_bytes`, or make room."""

    code = "AG02"


class Kept:
    """A folder of files named by root and chunk size; a file that is there is whole and right."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._bytes: int | None = None
        self._coming = 0
        self._users: dict[str, set[ids.OrderId]] = {}
        self._files: dict[ids.OrderId, set[str]] = {}

    def tidy(self) -> None:
        """Make the folder, and drop what a crash left half. Only the running agent does this."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for kind in (PART, FRESH):
            for left in self._folder.glob(f"{kind}*"):
                left.unlink(missing_ok=True)

    def path(self, entry: Entry) -> Path:
        """Return where a file is kept."""
        return self._folder / _name(entry)

    def has(self, entry: Entry) -> bool:
        """Say whether it is here, with the size that the entry names."""
        path = self._present(entry)
        return path.exists() and path.stat().st_size == entry.size

    def use(self, entry: Entry, order: ids.OrderId) -> None:
        """Note that an order needs a file: while it is fresh, it goes with the last one that does."""
        name = _name(entry)
        self._users.setdefault(name, set()).add(order)
        self._files.setdefault(order, set()).add(name)

    async def keep(self, *orders: ids.OrderId) -> None:
        """Keep the files of orders for ever, durable when it returns. Raise StorageError."""
        names = {name for order in orders for name in self._files.get(order, ())}
        if not names:
            return
        try:
            await asyncio.to_thread(_make_durable, self._folder, names)
        except OSError as exc:
            raise errors.StorageError(f"The bytes cannot be kept: {exc}") from exc
        for name in names:
            for order in self._users.pop(name, ()):
                self._forget(order, name)

    def let_go(self, order: ids.OrderId) -> None:
        """Drop the files of an order, those apart that are kept, or that another one needs."""
        for name in tuple(self._files.get(order, ())):
            self._forget(order, name)
            self._users[name].discard(order)
            if not self._users[name]:
                del self._users[name]
                self._unlink(self._folder / f"{FRESH}{name}")

    def _forget(self, order: ids.OrderId, name: str) -> None:
        names = self._files.get(order, set())
        names.discard(name)
        if not names:
            self._files.pop(order, None)

    async def take(self, entry: Entry, chunks: AsyncGenerator[bytes, None]) -> None:
        """Take a file in, hashing and writing beside the event loop.

        Raise NoRoom, DigestMismatch (then nothing is kept), StorageError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        self._make_room(entry.size)
        self._coming += entry.size
        part = self._folder / f"{PART}{uuid.uuid4().hex}"
        try:
            with part.open("wb") as file:
                hasher = await _drain(chunks, file, entry)
            if hasher.size != entry.size or hasher.root() != entry.root:
                raise errors.DigestMismatch(path=entry.path, expected=entry.root.hex())
            part.replace(self._folder / f"{FRESH}{_name(entry)}")
            self._count(entry.size)
        except OSError as exc:
            raise errors.StorageError(f"The bytes cannot be kept: {exc}", path=entry.path) from exc
        finally:
            part.unlink(missing_ok=True)
            self._coming -= entry.size

    def _make_room(self, size: int) -> None:
        """Raise NoRoom. At the limit the folder is looked at anew: people may have moved files away."""
        wanted = self._coming + size
        if self._bytes is None or self._bytes + wanted > self._max_bytes:
            self._bytes = _bytes_in(self._folder)
        if self._bytes + wanted > self._max_bytes:
            raise NoRoom(kept=self._bytes, more=wanted, limit=self._max_bytes)

    def _count(self, more: int) -> None:
        if self._bytes is not None:
            self._bytes += more

    def _present(self, entry: Entry) -> Path:
        kept = self.path(entry)
        return kept if kept.exists() else self._folder / f"{FRESH}{_name(entry)}"

    def _unlink(self, path: Path) -> None:
        if path.exists():
            self._count(-path.stat().st_size)
            path.unlink()

    def read(self, entry: Entry) -> bytes:
        """Return a kept file's bytes, hashed again. Raise DigestMismatch, NotFound."""
        try:
            data = self._present(entry).read_bytes()
        except OSError as exc:
            raise errors.NotFound("Not kept.", path=entry.path) from exc
        hasher = dataset.FileHasher(entry.chunk)
        hasher.update(data)
        if hasher.root() != entry.root:
            raise errors.DigestMismatch(path=entry.path, expected=entry.root.hex())
        return data

    def drop(self, entry: Entry) -> None:
        """Forget a file, so that it is fetched anew."""
        for path in (self.path(entry), self._folder / f"{FRESH}{_name(entry)}"):
            self._unlink(path)


def _name(entry: Entry) -> str:
    return f"{entry.root.hex()}-{entry.chunk}"


async def _drain(
    chunks: AsyncGenerator[bytes, None], file: BinaryIO, entry: Entry
) -> dataset.FileHasher:
    """Take blocks of about one MiB off the stream; stop at the first byte too many."""
    hasher, block = dataset.FileHasher(entry.chunk), bytearray()
    async with aclosing(chunks):
        async for chunk in chunks:
            block += chunk
            if hasher.size + len(block) > entry.size:
                break
            if len(block) >= BLOCK_BYTES:
                await asyncio.to_thread(_take, block, hasher, file)
                block = bytearray()
    _take(block, hasher, file)
    return hasher


def _take(block: bytearray, hasher: dataset.FileHasher, file: BinaryIO) -> None:
    hasher.update(block)
    file.write(block)


def _bytes_in(folder: Path) -> int:
    """Return the bytes of whole files; what comes in just now is counted by who takes it."""
    total = 0
    for file in folder.iterdir():
        with suppress(FileNotFoundError):
            total += 0 if file.name.startswith(PART) else file.stat().st_size
    return total


def _make_durable(folder: Path, names: set[str]) -> None:
    """Let fresh files be kept: the bytes first, then their names."""
    for name in names:
        fresh = folder / f"{FRESH}{name}"
        if fresh.exists():
            with fresh.open("rb") as file:
                os.fsync(file.fileno())
            fresh.replace(folder / name)
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
