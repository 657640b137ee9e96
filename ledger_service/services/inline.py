"""Inline: small datasets told with their order, so that nobody has to ask for each file.

Each organisation reads the same lines of the feed, mostly within a second, and each is given the same
bytes: they are read once, and kept a while as they are told. Nobody has to believe them: an agent
hashes them as it hashes what it fetches.
"""

from __future__ import annotations

import asyncio
import base64
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from ledger_service import ports
from ledger_service.domain import errors, ids
from ledger_service.domain.records import Announcement
from ledger_service.services.fetch import entries_of
from ledger_service.services.seal import file_key

MOST_BYTES = 256 * 1024  #: of one dataset; a page of the feed stays some megabytes
KEPT_BYTES = 32 * 1024 * 1024
MOST_KEPT = 4096

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Small:
    """A dataset's size, and its files in base64 by path if it is small enough to be told at all."""

    size: int
    files: Mapping[str, str] = field(default_factory=dict)


class Inline:
    """The files of orders that are announced."""

    def __init__(self, objects: ports.ObjectStore, kept_bytes: int = KEPT_BYTES) -> None:
        """`kept_bytes`: what is kept for who asks next, as it is told."""
        self._objects = objects
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[ids.OrderId, Small] = OrderedDict()
        self._turns: dict[ids.OrderId, asyncio.Lock] = {}
        self._bytes = 0

    async def files(
        self, told: Sequence[Announcement], limit: int
    ) -> Mapping[ids.OrderId, Mapping[str, str]]:
        """Return the files of each order whose whole dataset is at most `limit` bytes: base64 by path.

        What cannot be read now is left out: whoever needs it asks for the file, and is told why.
        """
        wanted = [item for item in told if item.kind == "order"] if limit > 0 else []
        found = await asyncio.gather(*(self._small(item) for item in wanted))
        return {
            item.order: small.files
            for item, small in zip(wanted, found, strict=True)
            if small is not None and small.files and small.size <= limit
        }

    async def _small(self, item: Announcement) -> Small | None:
        """Return one from what is kept, else from the store; who comes meanwhile waits for the first."""
        order = item.order
        turn = self._turns.setdefault(order, asyncio.Lock())
        try:
            async with turn:
                if order not in self._kept:
                    self._keep(order, await self._read(item))
                self._kept.move_to_end(order)
                return self._kept[order]
        except errors.LedgerError as exc:
            log.warning("not told inline", order=order.hex(), why=str(exc))
            return None
        finally:
            self._turns.pop(order, None)

    async def _read(self, item: Announcement) -> Small:
        envelope = base64.b64decode(item.body["envelope"])
        entries = (await asyncio.to_thread(entries_of, envelope)).values()
        small = Small(sum(entry.size for entry in entries))
        if small.size <= MOST_BYTES:
            data = [await self._whole(file_key(entry), entry.size) for entry in entries]
            texts = [base64.b64encode(each).decode() for each in data]
            paths = [entry.path for entry in entries]
            small = Small(small.size, dict(zip(paths, texts, strict=True)))
        return small

    async def _whole(self, key: str, size: int) -> bytes:
        """Read an object whole, and never more than it should be. Raise NotFound, StorageError."""
        found = bytearray()
        async for chunk in self._objects.get(key):
            found += chunk
            if len(found) > size:
                break
        if len(found) != size:
            raise errors.StorageError("The bytes are not there as they were sealed.", key=key)
        return bytes(found)

    def _keep(self, order: ids.OrderId, small: Small) -> None:
        self._kept[order] = small
        self._bytes += _weight(small)
        while len(self._kept) > 1 and (
            self._bytes > self._kept_bytes or len(self._kept) > MOST_KEPT
        ):
            _, gone = self._kept.popitem(last=False)
            self._bytes -= _weight(gone)


def _weight(small: Small) -> int:
    return sum(len(text) for text in small.files.values())
