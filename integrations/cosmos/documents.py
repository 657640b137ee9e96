"""The document store on Cosmos DB: one item per order, in its machine's partition.

No write is blind: an item is made only if there is none, replaced only if it is still the one that
was read (etag). After every answer that leaves the outcome open (lost, conflict, precondition) the
item is read again, and the event id in its history says whether the fact is in it. So it does no
harm that the HTTP client below sends a PUT again whose connection broke.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

from azure.core import MatchConditions
from azure.core.exceptions import AzureError, ServiceRequestError, ServiceResponseError
from azure.cosmos import PartitionKey
from azure.cosmos.aio import ContainerProxy, CosmosClient
from azure.cosmos.exceptions import (
    CosmosAccessConditionFailedError,
    CosmosHttpResponseError,
    CosmosResourceExistsError,
    CosmosResourceNotFoundError,
)

from integrations.addresses import checked_url
from integrations.documents import mapping
from ledger_service.domain import errors
from ledger_service.domain.records import Delivery

PARTITION = "/asset"
TRIES = 4
#: The service's limit for an item, in bytes.
LARGEST = 2 * 1024 * 1024
#: Together below the time that a delivery may take.
CONNECT_SECONDS, READ_SECONDS = 5, 6
#: Timeout, gone for now, throttled, retry with.
_LATER = frozenset({408, 410, 429, 449})
_UNKNOWN = (
    CosmosResourceExistsError,
    CosmosAccessConditionFailedError,
    ServiceRequestError,
    ServiceResponseError,
)


class CosmosDocuments:
    """The Destination port. Database and container are made if they are not there."""

    name = "documents"

    def __init__(
        self,
        url: str,
        key: str,
        database: str,
        container: str,
        *,
        read_seconds: float = READ_SECONDS,
    ) -> None:
        """Raise ConfigError for an address or a key that is none."""
        self._url = url
        self._database = database
        self._name = container
        self._client = _client(url, key, read_seconds)
        self._container: ContainerProxy | None = None
        self._opening = asyncio.Lock()

    async def deliver(self, delivery: Delivery) -> dict[str, object]:
        """Bring the fact into its order's item. Raise DestinationDown, DestinationRefused."""
        try:
            container = await self._open()
            for _ in range(TRIES):
                if await _bring(container, delivery.payload):
                    return {"id": mapping.document_id(delivery.payload), "container": self._name}
        except CosmosHttpResponseError as exc:
            raise _named(exc) from exc
        except AzureError as exc:
            raise errors.DestinationDown(str(exc)[:200], url=self._url) from exc
        raise errors.DestinationDown("Others write the same item, or answers are lost.")

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    async def _open(self) -> ContainerProxy:
        async with self._opening:
            if self._container is None:
                database = await self._client.create_database_if_not_exists(self._database)
                self._container = await database.create_container_if_not_exists(
                    self._name, partition_key=PartitionKey(PARTITION)
                )
            return self._container


async def _bring(container: ContainerProxy, payload: Mapping[str, Any]) -> bool:
    """Read, merge, write; False if the outcome is open."""
    present = await _read(container, mapping.document_id(payload), payload["asset"])
    document = mapping.merged(present and _own(present), payload)
    if document is None:
        return True
    if (size := len(json.dumps(document))) > LARGEST:
        raise errors.DestinationRefused("Too large for an item.", found=size, expected=LARGEST)
    try:
        if present is None:
            await container.create_item(document)
        else:
            await container.replace_item(
                document["id"],
                document,
                etag=present["_etag"],
                match_condition=MatchConditions.IfNotModified,
            )
    except _UNKNOWN:
        return False
    return True


async def _read(container: ContainerProxy, order: str, asset: str) -> dict[str, Any] | None:
    try:
        return dict(await container.read_item(order, partition_key=asset))
    except CosmosResourceNotFoundError:
        return None


def _own(item: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out what the service adds to an item."""
    return {name: value for name, value in item.items() if not name.startswith("_")}


def _named(exc: CosmosHttpResponseError) -> errors.RelayError:
    status = exc.status_code or 0
    later = status in _LATER or not 400 <= status < 500  # noqa: PLR2004  HTTP's client errors
    kind = errors.DestinationDown if later else errors.DestinationRefused
    return kind(str(exc.message).split("\n", 1)[0][:200], found=f"HTTP {status}")


def _client(url: str, key: str, read_seconds: float) -> CosmosClient:
    """Return a client that leaves an open outcome to us.

    By default the asynchronous client sends writes again whose answer was lost, and reports our
    own write as a conflict. Only an account behind TLS tells its regions.
    """
    return CosmosClient(
        checked_url(url),
        _checked_key(key),
        enable_endpoint_discovery=url.startswith("https://"),
        connection_timeout=CONNECT_SECONDS,
        read_timeout=read_seconds,
        retry_connect=0,
        retry_read=0,
        retry_throttle_total=3,
    )


def _checked_key(key: str) -> str:
    try:
        base64.b64decode(key, validate=True)
    except binascii.Error as exc:
        raise errors.ConfigError("The account's key is not base64.") from exc
    return key
