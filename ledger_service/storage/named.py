"""Objects whose key tells what is in them: copied from store to store, and checked on the way."""

from __future__ import annotations

import asyncio
import hashlib
import re
import uuid
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass

from ledger_service.domain import dataset, errors
from ledger_service.domain.ids import FileRoot
from ledger_service.storage.objects import Objects

INCOMING = "incoming"  #: where an object is until it was seen to be the one
AT_ONCE = 8

#: The two places that rows name. A key of a backup becomes a path, so nothing else is one.
_FILE = re.compile(r"files/([0-9a-f]{64})-(65536|1048576|4194304)")
_REPORT = re.compile(r"close-outs/([0-9a-f]{64})")

Progress = Callable[[int, int], None]  #: how many are done, of how many


@dataclass(frozen=True, slots=True)
class Copied:
    """What came of it. `sizes`: of all that are at the target; `missing`: not in the source as named."""

    sizes: Mapping[str, int]
    new: int
    missing: tuple[str, ...]


def is_key(key: object) -> bool:
    """Say whether this is the key of an object that rows name."""
    return isinstance(key, str) and bool(_FILE.fullmatch(key) or _REPORT.fullmatch(key))


async def is_whole(objects: Objects, key: str, size: int | None) -> bool:
    """Read an object and say whether it is of this size, if one is given, and what its key tells.

    One that is not there, or that cannot be read, is not.
    """
    try:
        there = await objects.size(key)
        if there is None or there != (there if size is None else size):
            return False
        return await _drain(_Checked(objects.get(key), key))
    except (errors.NotFound, errors.StorageError):
        return False


async def copy(
    source: Objects, target: Objects, named: Mapping[str, int | None], progress: Progress
) -> Copied:
    """Copy what the target does not have; each is visible there whole and checked, or not at all.

    `named`: key -> size, None where it is not known. What the target has is read: it stays if it is
    what its key tells, and is copied anew if not, as disks forget.
    """
    sizes: dict[str, int] = {}
    missing: list[str] = []
    new = 0
    items = list(named.items())
    for start in range(0, len(items), AT_ONCE):
        some = items[start : start + AT_ONCE]
        progress(len(sizes) + len(missing), len(named))
        ends = await asyncio.gather(*(_one(source, target, key, size) for key, size in some))
        for (key, _), (size, is_new) in zip(some, ends, strict=True):
            new += is_new
            if size is None:
                missing.append(key)
            else:
                sizes[key] = size
    progress(len(named), len(named))
    return Copied(sizes, new, tuple(missing))


async def _one(
    source: Objects, target: Objects, key: str, expected: int | None
) -> tuple[int | None, bool]:
    """Return the size that the target has in the end, None without such an object; and if it is new."""
    size = await source.size(key) if expected is None else expected
    if await is_whole(target, key, size):
        return await target.size(key), False
    if size is None or await source.size(key) != size:
        return None, False
    incoming = f"{INCOMING}/{uuid.uuid4().hex}"
    checked = _Checked(source.get(key), key)
    await target.put(incoming, checked, staged=True)
    if not checked.is_as_named:
        await target.delete(incoming)
        return None, False
    await target.move(incoming, key)
    return size, True


class _Checked:
    """Passes an object's bytes on, and knows in the end whether they are the ones named."""

    def __init__(self, chunks: AsyncIterator[bytes], key: str) -> None:
        self._chunks = chunks
        self._file = _FILE.fullmatch(key)
        self._key = key
        self._sha256 = hashlib.sha256()
        self._hasher = dataset.FileHasher(int(self._file[2])) if self._file else None

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            (self._hasher or self._sha256).update(chunk)
            yield chunk

    @property
    def is_as_named(self) -> bool:
        """Say so, after the last chunk."""
        if self._hasher is not None and self._file is not None:
            return self._hasher.root() == FileRoot(bytes.fromhex(self._file[1]))
        return self._key == f"close-outs/{self._sha256.hexdigest()}"


async def _drain(checked: _Checked) -> bool:
    async for _ in checked:
        pass
    return checked.is_as_named
