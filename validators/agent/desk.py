"""The desk: where a person's decisions are dropped for the agent that runs, one small file each.

Whoever may write in the agent's folder may decide: the folder belongs to the organisation's own user.
"""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog

from ledger_service.domain import errors, ids

MAX_BYTES = 64 * 1024

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided. `text`: why (a refusal needs it). `by`: who, for the journal."""

    approve: bool
    text: str
    by: str


class Desk:
    """A folder of decisions."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def drop(self, order: ids.OrderId, decision: Decision) -> None:
        """Leave a decision; it is there whole, or not at all."""
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        fields = {"approve": decision.approve, "text": decision.text, "by": decision.by}
        fresh = self._folder / f".{uuid.uuid4().hex}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump(fields, file)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(self._path(order))

    def read(self) -> Iterator[tuple[ids.OrderId, Decision]]:
        """Yield the decisions that lie here; what is none is told of and thrown away."""
        for path in sorted(self._folder.glob("*.json")):
            try:
                yield ids.OrderId(ids.parse32(path.stem)), _decision(path)
            except (OSError, ValueError, KeyError, TypeError, errors.UnknownField) as exc:
                log.warning("not a decision", file=path.name, why=repr(exc))
                path.unlink(missing_ok=True)

    def clear(self, order: ids.OrderId) -> None:
        """Throw a decision away: it is signed, or cannot be."""
        self._path(order).unlink(missing_ok=True)

    def _path(self, order: ids.OrderId) -> Path:
        return self._folder / f"{order.hex()}.json"


def _decision(path: Path) -> Decision:
    with path.open("rb") as file:
        fields = json.loads(file.read(MAX_BYTES))
    approve = fields["approve"]
    if not isinstance(approve, bool):
        raise TypeError("approve is true or false")
    return Decision(approve, str(fields["text"]), str(fields["by"]))
