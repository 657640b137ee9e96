"""The organisation's own detectors: a folder of folders, each with card and model, found by id."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import structlog

from edge.detectors import Detector, Scored, load
from edge.detectors.run import CARD
from ledger_service.domain import errors, ids
from ledger_service.domain.profile import Input

log = structlog.get_logger()


class Models:
    """Pinned detectors; each is run in a thread beside the event loop, one run at a time."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._found: dict[ids.DetectorId, Detector] = {}
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="rerun")

    def look(self) -> None:
        """Read the folder again. A folder that is no detector is told of and left out."""
        for card in sorted(self._folder.glob(f"*/{CARD}")):
            try:
                detector = load(card.parent)
            except errors.LedgerError as exc:
                log.warning("not a detector", folder=card.parent.name, why=str(exc))
                continue
            if detector.id not in self._found:
                self._found[detector.id] = detector

    def find(self, detector: ids.DetectorId) -> Detector | None:
        """Return a detector; one that came into the folder meanwhile is found."""
        if detector not in self._found:
            self.look()
        return self._found.get(detector)

    async def run(self, detector: Detector, data: bytes) -> Scored:
        """Score. Raise BadSample, TooLarge."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, detector.run, data)

    async def warm_up(self) -> None:
        """Load every model into the runtime, so that the first order does not wait for it."""
        self.look()
        for detector in tuple(self._found.values()):
            with contextlib.suppress(errors.BadSample):
                await self._try(detector)

    async def _try(self, detector: Detector) -> None:
        try:
            await self.run(detector, _flat(detector.card.input))
        except errors.ConfigError as exc:
            log.warning("not a detector", name=detector.card.name, why=str(exc))

    def close(self) -> None:
        """Let a run that is under way end by itself."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def __len__(self) -> int:
        return len(self._found)


def _flat(shape: Input) -> bytes:
    """Return the least input that a detector reads: all zero."""
    header = shape.separator.join(shape.columns)
    rows = [shape.separator.join("0" * len(shape.columns))] * shape.min_rows
    return ("\n".join([header, *rows]) + "\n").encode()
