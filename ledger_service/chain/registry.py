"""Questions to the contracts: words, versions, organisations, detectors, devices."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any

from ledger_service.chain import binding
from ledger_service.chain.abi import Function
from ledger_service.chain.rpc import octets
from ledger_service.chain.settings import Deployment
from ledger_service.domain import ids
from ledger_service.domain.facts import OrderWord, Organisation, Version

LIVE = 1
VERDICT = 1
BUILDER = 4
ROLE_BITS = 8


class Registry(ABC):
    """Reads by eth_call at the newest block."""

    deployment: Deployment

    @abstractmethod
    async def ask(self, method: str, *parameters: Any) -> Any:
        """Ask a node."""

    async def word(self, order: ids.OrderId) -> OrderWord:
        """Return the order's word."""
        (word,) = await self._orders("word", order)
        return OrderWord.unpack(word)

    async def latest_order(
        self, asset: ids.AssetId, evidence: ids.EvidenceId
    ) -> ids.OrderId | None:
        """Return the last order proposed for this evidence of this asset."""
        (order,) = await self._orders("latestOf", asset, evidence)
        return ids.OrderId(order) if any(order) else None

    async def current_version(self, asset: ids.AssetId) -> Version | None:
        """Return the live version of an asset."""
        (current,) = await self._consortium("currentOf", asset)
        if not any(current):
            return None
        version = await self.version(ids.VersionId(current))
        return version if version is not None and version.live else None

    async def version(self, version: ids.VersionId) -> Version | None:
        """Return any registered version."""
        terms, seats, asset = await asyncio.gather(
            self._consortium("versionOf", version),
            self._consortium("seatsOf", version),
            self._consortium("assetOf", version),
        )
        life, host, safety, *_ = terms
        if not life:
            return None
        return Version(
            id=version,
            asset=ids.AssetId(asset[0]),
            live=life == LIVE,
            seats=tuple(seats[0]),
            host=host,
            safety=safety,
        )

    async def organisation_of(self, key: ids.Address) -> int | None:
        """Return the member whose current verdict key this is."""
        (found,) = await self._consortium("roleOf", ids.checksum(key))
        return found >> ROLE_BITS if found & 0xFF == VERDICT else None

    async def organisation(self, number: int) -> Organisation | None:
        """Return a member and its current keys."""
        members, keys = await asyncio.gather(
            self._consortium("members"), self._consortium("organisation", number)
        )
        if not members[0] >> number & 1:
            return None
        verdict, governance, _ = (ids.parse_address(key) for key in keys)
        return Organisation(number, verdict, governance)

    async def detector_live(self, detector: ids.DetectorId) -> bool:
        """Say whether the detector is registered and not revoked."""
        (life,) = await self._consortium("detectorOf", detector)
        return bool(life == LIVE)

    async def device_live(self, asset: ids.AssetId, device: ids.DeviceId) -> bool:
        """Say whether the device key is registered for the asset and not revoked."""
        (life,) = await self._consortium("deviceOf", asset, device)
        return bool(life == LIVE)

    async def orders_listed(self) -> tuple[ids.Address, ...]:
        """Return the orders contracts that the consortium lists, oldest first."""
        (count,) = await self._consortium("ordersCount")
        listed = await asyncio.gather(*(self._consortium("orders", at) for at in range(count)))
        return tuple(ids.parse_address(item) for (item,) in listed)

    async def is_builder(self, key: ids.Address) -> bool:
        """Say whether this key may propose."""
        (found,) = await self._consortium("roleOf", ids.checksum(key))
        return bool(found & 0xFF == BUILDER)

    async def _orders(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        function = binding.orders_interface().functions[name]
        return await self._read(self.deployment.orders, function, *arguments)

    async def _consortium(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        function = binding.consortium_interface().functions[name]
        return await self._read(self.deployment.consortium, function, *arguments)

    async def _read(self, to: ids.Address, function: Function, *arguments: Any) -> tuple[Any, ...]:
        request = {"to": ids.checksum(to), "data": "0x" + function.encode(*arguments).hex()}
        return function.decode(octets(await self.ask("eth_call", request, "latest")))
