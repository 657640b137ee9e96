"""An object store in memory."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator

from ledger_service.domain import dataset, errors

PIECE = 1024 * 1024


class MemoryObjects:
    """The ObjectStore port. `objects` is open to tests."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}

    async def put(self, key: str, chunks: AsyncIterable[bytes], *, staged: bool = False) -> int:
        """Store when all chunks have come; memory is as durable either way."""
        del staged
        dataset.check_path(key)
        data = b"".join([chunk async for chunk in chunks])
        self.objects[key] = data
        return len(data)

    async def move(self, source: str, target: str) -> None:
        """Rename."""
        dataset.check_path(target)
        if source not in self.objects:
            raise errors.NotFound("No such object.", found=source)
        self.objects[target] = self.objects.pop(source)

    async def get(
        self, key: str, *, start: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        """Stream the bytes, or a range of them."""
        if key not in self.objects:
            raise errors.NotFound("No such object.", found=key)
        data = self.objects[key][start : None if length is None else start + length]
        for at in range(0, len(data), PIECE):
            yield data[at : at + PIECE]

    async def size(self, key: str) -> int | None:
        """Return the size."""
        return len(self.objects[key]) if key in self.objects else None

    async def delete(self, key: str) -> None:
        """Delete."""
        self.objects.pop(key, None)

    async def keys(self, prefix: str) -> AsyncIterator[str]:
        """List the keys below a prefix."""
        for key in sorted(self.objects):
            if key.startswith(prefix.rstrip("/") + "/"):
                yield key
