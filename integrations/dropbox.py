"""A folder that another program empties, filled once per key.

A file is staged, then recorded, then moved in. Who repeats a delivery finds the record, and the
staged file tells whether the move took place: it is gone exactly if the file was put there, even
if the reader has taken it away since.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from integrations import files


@dataclass(frozen=True, slots=True)
class Parcel:
    """What is put in: bytes, where (below the folder), and what people are told."""

    data: bytes
    target: str
    reference: dict[str, object]


class DropBox:
    """`staging` and `records` are folders beside the one that is emptied. The caller holds the lock."""

    def __init__(
        self, folder: Path, *, staging: str = ".staging", records: str = ".placed"
    ) -> None:
        self._folder = folder
        self._staging = folder / staging
        self._records = folder / records

    def has(self, key: str) -> bool:
        """Say whether this key was put in, or is about to be."""
        return self._record(key).exists()

    def put(self, key: str, parcel: Parcel) -> dict[str, object]:
        """Put it in unless this key was there; return the reference of the first time."""
        record = self._recorded(key) or self._stage(key, parcel)
        staged = self._staging / key
        if staged.exists():
            files.move(staged, self._folder / record["target"])
        reference: dict[str, object] = record["reference"]
        return reference

    def _recorded(self, key: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(self._record(key).read_bytes())
        except FileNotFoundError:
            return None
        return found

    def _stage(self, key: str, parcel: Parcel) -> dict[str, Any]:
        record: dict[str, Any] = {"target": parcel.target, "reference": parcel.reference}
        files.write(self._staging / key, parcel.data)
        files.write(self._record(key), json.dumps(record).encode())
        return record

    def _record(self, key: str) -> Path:
        return self._records / f"{key}.json"
