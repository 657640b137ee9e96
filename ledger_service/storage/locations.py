"""Object-store locations that evidence may be copied from: those on the list, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ledger_service.domain import dataset, errors
from ledger_service.storage.objects import Objects, open_objects


class Locations:
    """The Locations port. An allowed prefix is a URL such as `az://evidence/plant-1`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(prefix.rstrip("/") for prefix in allowed)

    async def open(self, location: str, path: str) -> AsyncIterator[bytes]:
        """Stream one file of a location. Raise LocationNotAllowed, UnsafePath, NotFound."""
        dataset.check_path(path)
        prefix = self._find(location)
        rest = location.rstrip("/")[len(prefix) :].strip("/")
        key = f"{rest}/{path}" if rest else path
        dataset.check_path(key)
        store = _open(prefix)
        async for chunk in store.get(key):
            yield chunk

    def _find(self, location: str) -> str:
        wanted = location.rstrip("/")
        for prefix in self._allowed:
            if wanted == prefix or wanted.startswith(prefix + "/"):
                return prefix
        raise errors.LocationNotAllowed(found=location[:200])


def _open(prefix: str) -> Objects:
    if prefix.startswith("file://"):
        folder = Path(prefix.removeprefix("file://"))
        if not folder.is_dir():
            raise errors.NotFound("No such location.", found=prefix)
    return open_objects(prefix)
