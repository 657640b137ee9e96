"""The agent's own copy of what it judged: files by root, hashed while they come in, durable."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import BinaryIO

from ledger_service.domain import dataset, errors
from ledger_service.domain.dataset import Entry

BLOCK_BYTES = 1024 * 1024
PART = ".part-"


class Kept:
    """A folder of files named by root and chunk size; a file that is there is whole and right."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def tidy(self) -> None:
        """Make the folder, and drop what a crash left half. Only the running agent does this."""
        self._folder.mkdir(parents=True, exist_ok=True)
        for part in self._folder.glob(f"{PART}*"):
            part.unlink(missing_ok=True)

    def path(self, entry: Entry) -> Path:
        """Return where a file is kept."""
        return self._folder / f"{entry.root.hex()}-{entry.chunk}"

    def has(self, entry: Entry) -> bool:
        """Say whether it is kept, with the size that the entry names."""
        path = self.path(entry)
        return path.exists() and path.stat().st_size == entry.size

    async def take(self, entry: Entry, chunks: AsyncGenerator[bytes, None]) -> None:
        """Keep a file, hashing and writing beside the event loop.

        Raise DigestMismatch (then nothing is kept), StorageError.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        part = self._folder / f"{PART}{uuid.uuid4().hex}"
        try:
            with part.open("wb") as file:
                hasher = await _drain(chunks, file, entry)
                await asyncio.to_thread(_sync, file)
            if hasher.size != entry.size or hasher.root() != entry.root:
                raise errors.DigestMismatch(path=entry.path, expected=entry.root.hex())
            part.replace(self.path(entry))
            await asyncio.to_thread(_sync_folder, self._folder)
        except OSError as exc:
            raise errors.StorageError(f"The bytes cannot be kept: {exc}", path=entry.path) from exc
        finally:
            part.unlink(missing_ok=True)

    def read(self, entry: Entry) -> bytes:
        """Return a kept file's bytes, hashed again. Raise DigestMismatch, NotFound."""
        try:
            data = self.path(entry).read_bytes()
        except OSError as exc:
            raise errors.NotFound("Not kept.", path=entry.path) from exc
        hasher = dataset.FileHasher(entry.chunk)
        hasher.update(data)
        if hasher.root() != entry.root:
            raise errors.DigestMismatch(path=entry.path, expected=entry.root.hex())
        return data

    def drop(self, entry: Entry) -> None:
        """Forget a file, so that it is fetched anew."""
        self.path(entry).unlink(missing_ok=True)


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


def _sync(file: BinaryIO) -> None:
    file.flush()
    os.fsync(file.fileno())


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
