"""The embedded document store: one JSON file per order in a folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from integrations import files
from integrations.documents import mapping
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery


class FolderDocuments:
    """The Destination port: `FOLDER/ORDER.json`, replaced as a whole with each fact."""

    name = "documents"

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Bring the fact into its order's document. Raise DestinationDown, DestinationRefused."""
        return await files.on_disk(self.name, lambda: self._deliver(delivery))

    async def close(self) -> None:
        """Hold nothing open."""

    def _deliver(self, delivery: Delivery) -> dict[str, object]:
        order = mapping.document_id(delivery.payload)
        path = self._folder / f"{order}.json"
        with files.locked(self._folder, files.lock_of(order)):
            document = mapping.merged(self._read(path), delivery.payload)
            if document is not None:
                text = json.dumps(document, ensure_ascii=False, indent=2)
                files.write(path, text.encode() + b"\n")
        return {"id": order, "file": path.name}

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads(path.read_bytes())
        except FileNotFoundError:
            return None
        except ValueError as exc:
            raise errors.DestinationRefused("Not a document of ours.", file=path) from exc
        return found
