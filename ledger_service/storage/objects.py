"""The ObjectStore port on obstore. In a local folder, a put is fsynced before it returns."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, LocalStore, MemoryStore, ObjectStore, S3Store

from ledger_service.domain import dataset, errors

READ_BYTES = 1024 * 1024
WRITE_BYTES = 8 * READ_BYTES
WRITES = 3  #: pieces under way at once; with their size, the memory that an upload takes


#: How obstore names what it is still writing in a folder; it never lists or deletes these itself.
_TORN = re.compile(r"#\d+$")


class Objects:
    """Bytes under keys in one store. `folder` is set where the store is a local folder.

    `to_disk` brings a file, or the names in a folder, to the disk.
    """

    def __init__(
        self,
        store: ObjectStore,
        folder: Path | None = None,
        *,
        to_disk: Callable[[Path], None] | None = None,
    ) -> None:
        self._store = store
        self._folder = folder
        self._to_disk = to_disk or sync
        #: Folders below it whose own names are on the disk; nothing here deletes a folder.
        self._lasting: set[Path] = set()

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, staged: bool = False) -> int:
        """Store, replacing what was there; return the size. Nothing is visible before the end."""
        counted = _Counted(chunks)
        dataset.check_path(key)
        try:
            await obstore.put_async(
                self._store, key, counted, chunk_size=WRITE_BYTES, max_concurrency=WRITES
            )
            if not staged:
                await self._sync(key)
                await self._sync_folders(key)
        except (BaseError, OSError) as exc:
            raise errors.StorageError("put", found=str(exc)[:200], key=key) from exc
        return counted.size

    async def move(self, source: str, target: str) -> None:
        """Rename, replacing the target."""
        dataset.check_path(target)
        try:
            # First the bytes: what the new name replaces may be all that there is.
            await self._sync(source)
            await obstore.rename_async(self._store, source, target)
            await self._sync_folders(target)
        except FileNotFoundError as exc:
            raise errors.NotFound("No such object.", found=source) from exc
        except (BaseError, OSError) as exc:
            raise errors.StorageError("move", found=str(exc)[:200], key=source) from exc

    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream the bytes, or a range of them."""
        try:
            if length is not None or start:
                size = await self.size(key)
                if size is None:
                    raise errors.NotFound("No such object.", found=key)
                end = size if length is None else min(size, start + length)
                async for piece in self._ranges(key, start, end):
                    yield piece
                return
            answer = await obstore.get_async(self._store, key)
            async for piece in answer.stream(min_chunk_size=READ_BYTES):
                yield bytes(piece)
        except FileNotFoundError as exc:
            raise errors.NotFound("No such object.", found=key) from exc
        except (BaseError, OSError) as exc:
            raise errors.StorageError("get", found=str(exc)[:200], key=key) from exc

    async def size(self, key: str) -> int | None:
        """Return the size in bytes, None if there is no such object."""
        try:
            return int((await obstore.head_async(self._store, key))["size"])
        except FileNotFoundError:
            return None
        except (BaseError, OSError) as exc:
            raise errors.StorageError("head", found=str(exc)[:200], key=key) from exc

    async def delete(self, key: str) -> None:
        """Delete; nothing happens if there is no such object."""
        if self._folder is not None and _TORN.search(key):
            await asyncio.to_thread((self._folder / key).unlink, missing_ok=True)
            return
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return
        except (BaseError, OSError) as exc:
            raise errors.StorageError("delete", found=str(exc)[:200], key=key) from exc

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """List the keys below a prefix; in a folder also writes that a kill tore, to be deleted."""
        if self._folder is not None:
            for key in await asyncio.to_thread(_torn, self._folder, prefix):
                yield key
        try:
            async for batch in obstore.list(self._store, prefix):
                for item in batch:
                    yield str(item["path"])
        except (BaseError, OSError) as exc:
            raise errors.StorageError("list", found=str(exc)[:200], key=prefix) from exc

    async def _ranges(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        for at in range(start, end, READ_BYTES):
            piece = await obstore.get_range_async(
                self._store, key, start=at, end=min(end, at + READ_BYTES)
            )
            yield bytes(piece)

    async def _sync(self, key: str) -> None:
        """Bring the bytes to the disk."""
        if self._folder is not None:
            await asyncio.to_thread(self._to_disk, self._folder / key)

    async def _sync_folders(self, key: str) -> None:
        """Bring the name to the disk, and those of the folders above where that was not done yet."""
        if self._folder is None:
            return
        place = self._folder / key
        above = [each for each in place.parents if self._folder in each.parents]
        new = [each for each in above if each not in self._lasting]
        await asyncio.to_thread(self._sync_each, {place.parent, *(each.parent for each in new)})
        self._lasting.update(new)

    def _sync_each(self, folders: Iterable[Path]) -> None:
        for each in folders:
            self._to_disk(each)


class _Counted:
    """Passes chunks on and counts their bytes; obstore takes any async iterable of buffers."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks
        self.size = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self.size += len(chunk)
            yield chunk


def open_objects(url: str, *, root: Path = Path(), **options: Any) -> Objects:
    """Open a store: a folder (path or file://), az://container, s3://bucket, memory://.

    Accounts and keys of clouds come from the environment, as their own tools read them. Raise
    ConfigError for another scheme.
    """
    parts = urlsplit(url)
    match parts.scheme:
        case "" | "file":
            folder = (root / (parts.path or url)).resolve()
            make_folder(folder)
            return Objects(LocalStore(folder), folder)
        case "az" | "azure":
            return Objects(
                AzureStore(parts.netloc, prefix=parts.path.strip("/") or None, **options)
            )
        case "s3":
            return Objects(S3Store(parts.netloc, prefix=parts.path.strip("/") or None, **options))
        case "memory":
            return Objects(MemoryStore())
    raise errors.ConfigError("Unknown kind of object store.", found=parts.scheme)


def _torn(folder: Path, prefix: str) -> list[str]:
    place = folder / prefix
    found = [path for path in place.iterdir() if _TORN.search(path.name)] if place.is_dir() else []
    return sorted(str(path.relative_to(folder)) for path in found)


def make_folder(folder: Path) -> None:
    """Make a folder that will still be there after a power cut."""
    missing = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for each in missing:
        sync(each.parent)


def sync(path: Path) -> None:
    """Bring a file, or the names in a folder, to the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
