"""Object-store locations that evidence may be copied from: those on the list, and nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from ledger_service.domain import dataset, errors
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
        store = self._open(prefix)
        if prefix.startswith(FOLDER):
            _check_plain(Path(prefix.removeprefix(FOLDER)), key)
        async for chunk in store.get(key):
            yield chunk

    def _find(self, location: str) -> str:
        wanted = location.rstrip("/")
        for prefix in self._allowed:
            if wanted == prefix or wanted.startswith(prefix + "/"):
                return prefix
        raise errors.LocationNotAllowed(found=repr(location[:200]))

    def _open(self, prefix: str) -> Objects:
        folder = Path(prefix.removeprefix(FOLDER))
        if prefix.startswith(FOLDER) and not folder.is_dir():
            raise errors.NotFound("No such location.", found=prefix)
        if prefix not in self._opened:
            self._opened[prefix] = open_objects(prefix)
        return self._opened[prefix]


def _check_plain(folder: Path, key: str) -> None:
    """Raise UnsafePath for a key that leads out of the folder, or anywhere by a symbolic link."""
    if (folder / key).resolve() != folder.resolve() / key:
        raise errors.UnsafePath("A symbolic link.", found=repr(key[:80]))
