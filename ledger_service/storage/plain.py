"""Reading a plain file below a folder, and nothing else that may lie there."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from ledger_service.domain import errors

READ_BYTES = 1024 * 1024
#: A pipe that nobody writes to would hold the open for ever; a link is not followed.
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_NOFOLLOW | os.O_DIRECTORY | os.O_CLOEXEC


async def read(folder: Path, key: str) -> AsyncIterator[bytes]:
    """Stream a regular file. Raise NotFound, StorageError; UnsafePath for a link, a pipe, a device.

    What is checked is what is read: each step down is opened below the one before.
    """
    try:
        descriptor = await asyncio.to_thread(_open, folder, key)
    except FileNotFoundError as exc:
        raise errors.NotFound("No such file.", found=key[:80]) from exc
    except OSError as exc:
        raise errors.StorageError("open", found=str(exc)[:200], key=key) from exc
    at = 0
    try:
        # By place: who stops waiting leaves a thread reading, which must not move anything on.
        while chunk := await asyncio.to_thread(os.pread, descriptor, READ_BYTES, at):
            at += len(chunk)
            yield chunk
    except OSError as exc:
        raise errors.StorageError("read", found=str(exc)[:200], key=key) from exc
    finally:
        os.close(descriptor)


def _open(folder: Path, key: str) -> int:
    place = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        *above, name = key.split("/")
        for step in above:
            below = _step(place, step, _FOLDER)
            os.close(place)
            place = below
        return _plain(_step(place, name, _FILE), key)
    finally:
        os.close(place)


def _step(place: int, name: str, flags: int) -> int:
    try:
        return os.open(name, flags, dir_fd=place)
    except OSError as exc:
        if exc.errno in {errno.ELOOP, errno.ENOTDIR, errno.ENXIO}:
            mode = os.stat(name, dir_fd=place, follow_symlinks=False).st_mode
            if not stat.S_ISREG(mode):
                raise errors.UnsafePath("A link, or no plain file.", found=repr(name[:80])) from exc
            raise FileNotFoundError(name) from exc
        raise


def _plain(descriptor: int, key: str) -> int:
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        return descriptor
    with suppress(OSError):
        os.close(descriptor)
    raise errors.UnsafePath("No plain file.", found=repr(key[:80]))
