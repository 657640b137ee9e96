"""Fetch: the exact bytes that were sealed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from ledger_service import ports
from ledger_service.domain import dataset, dsse, errors, ids, statement
from ledger_service.services.seal import file_key


@dataclass(frozen=True, slots=True)
class Opened:
    """A file of a dataset, ready to be streamed."""

    entry: dataset.Entry
    chunks: AsyncIterator[bytes]


class Fetch:
    """Serves envelopes and files as they were received."""

    def __init__(self, store: ports.Store, objects: ports.ObjectStore) -> None:
        self._store = store
        self._objects = objects

    async def envelope(self, evidence: ids.EvidenceId) -> bytes:
        """Return the DSSE envelope. Raise NotFound."""
        async with self._store.reading() as rows:
            return (await rows.evidence.get(evidence)).envelope

    async def file(self, evidence: ids.EvidenceId, path: str) -> Opened:
        """Open a file of the dataset. Raise NotFound."""
        envelope = await self.envelope(evidence)
        entry = (await asyncio.to_thread(entries_of, envelope)).get(path)
        if entry is None:
            raise errors.NotFound("The statement names no such file.", found=repr(path[:200]))
        key = file_key(entry)
        if await self._objects.size(key) != entry.size:
            raise errors.StorageError("The bytes are not there as they were sealed.")
        return Opened(entry, self._objects.get(key))

    async def close_out(self, digest: bytes) -> AsyncIterator[bytes]:
        """Open a close-out report by its SHA-256. Raise NotFound."""
        key = f"close-outs/{digest.hex()}"
        if await self._objects.size(key) is None:
            raise errors.NotFound("No such close-out report.", found=digest.hex())
        return self._objects.get(key)


@lru_cache(maxsize=8)
def entries_of(envelope: bytes) -> Mapping[str, dataset.Entry]:
    """Return a statement's files by path; kept, because whoever takes one file takes them all."""
    return {entry.path: entry for entry in statement.loads(dsse.loads(envelope).payload).entries}
