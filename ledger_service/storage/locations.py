"""Object-store locations that evidence may be copied from: those on the list, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ledger_service.domain import dataset, errors
from ledger_service.storage import plain
from ledger_service.storage.objects import Objects, open_objects

FOLDER = "file://"


class Locations:
    """The Locations port. An allowed prefix is a URL such as `az://evidence/plant-1`."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = tuple(prefix.rstrip("/") for prefix in allowed)
        self._opened: dict[str, Objects] = {}

    async def open(self, location: str, path: str) -> AsyncIterator[bytes]:
        """Stream one file of a location. Raise LocationNotAllowed, UnsafePath, NotFound."""
        dataset.check_path(path)
        prefix = self._find(location)
        rest = location.rstrip("/")[len(prefix) :].strip("/")
        key = f"{rest}/{path}" if rest else path
        dataset.check_path(key)
        async for chunk in self._read(prefix, key):
            yield chunk

    def _read(self, prefix: str, key: str) -> AsyncIterator[bytes]:
        if prefix.startswith(FOLDER):
            return plain.read(Path(prefix.removeprefix(FOLDER)), key)
        if prefix not in self._opened:
            self._opened[prefix] = open_objects(prefix)
        return self._opened[prefix].get(key)

    def _find(self, location: str) -> str:
        wanted = location.rstrip("/")
        for prefix in self._allowed:
            if wanted == prefix or wanted.startswith(prefix + "/"):
                return prefix
        raise errors.LocationNotAllowed(found=repr(location[:200]))
