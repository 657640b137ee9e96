"""Slow-moving facts of the chain, remembered for two seconds: an approval reads them again itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from ledger_service import ports
from ledger_service.domain import ids
from ledger_service.domain.facts import Version

KEPT_FOR = timedelta(seconds=2)
MOST = 10_000
T = TypeVar("T")


class Registry:
    """Versions, detectors and devices. What is not there is asked for again each time."""

    def __init__(self, ledger: ports.Ledger, clock: ports.Clock) -> None:
        self._ledger = ledger
        self._clock = clock
        self._kept: dict[tuple[Any, ...], tuple[datetime, Any]] = {}

    async def version(self, version: ids.VersionId) -> Version | None:
        """Return an asset version."""
        return await self._read(("version", version), lambda: self._ledger.version(version))

    async def detector_live(self, detector: ids.DetectorId) -> bool:
        """Say whether the detector is registered and not revoked."""
        return await self._read(
            ("detector", detector), lambda: self._ledger.detector_live(detector)
        )

    async def device_live(self, asset: ids.AssetId, device: ids.DeviceId) -> bool:
        """Say whether the device is registered for the asset and not revoked."""
        return await self._read(
            ("device", asset, device), lambda: self._ledger.device_live(asset, device)
        )

    async def time(self) -> datetime:
        """Return the newest block's time: the chain's own clock, by which it takes or refuses."""
        head = await self._read(("head",), self._ledger.head)
        return datetime.fromtimestamp(head.time, UTC)

    async def _read(self, key: tuple[Any, ...], ask: Callable[[], Awaitable[T]]) -> T:
        now = self._clock.now()
        if key in self._kept and self._kept[key][0] > now:
            found: T = self._kept[key][1]
            return found
        answer = await ask()
        if answer:
            if len(self._kept) >= MOST:
                self._kept.clear()
            self._kept[key] = (now + KEPT_FOR, answer)
        return answer
