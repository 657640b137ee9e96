"""Where the agent reads from: the service's HTTP API. Fast, and not believed in anything."""

from __future__ import annotations

import asyncio
import base64
import binascii
import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

import httpx

from ledger_service.domain import errors, ids
from ledger_service.domain.lifecycle import Outcome
from ledger_service.domain.order import Content
from validators.agent.wire import Wire
from validators.rules.case import Announced

CONNECT_SECONDS, READ_SECONDS = 10.0, 40.0
PATIENCE_SECONDS = 90.0  # for one whole answer, a file apart
MIB = 1024 * 1024
MAX_FEED_BYTES = 256 * MIB
MAX_ORDER_BYTES = 32 * MIB
MAX_ENVELOPE_BYTES = 4 * MIB
MAX_REPORT_BYTES = 256 * 1024
MAX_RESULTS_BYTES = MIB
INLINE_BYTES = 64 * 1024  #: a dataset up to this size may come along with its order
MOST_RESULTS = 32  #: handed in at once
NOT_FOUND = 404
NOT_AS_TOLD = (
    AttributeError,
    KeyError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
    errors.UnknownField,
)


class SourceDown(errors.LedgerError):
    """The service does not answer, or not as its API says."""

    code = "AG01"
    status = 503


@dataclass(frozen=True, slots=True)
class CloseOut:
    """The end of the work as a technician reported it; `digest` is of the report."""

    order: ids.OrderId
    content: Content
    outcome: Outcome
    digest: bytes


class Source(Protocol):
    """What the agent needs of a service. Every method may raise SourceDown, NotFound."""

    async def feed(self, after: int, wait: float) -> list[Any]:
        """Return lines behind a sequence, waiting up to `wait` seconds for the first."""

    async def envelope(self, evidence: ids.EvidenceId) -> bytes:
        """Return the DSSE envelope of a piece of evidence."""

    async def document(self, order: ids.OrderId) -> bytes:
        """Return an order's document."""

    async def report(self, digest: bytes) -> bytes:
        """Return the report of a close-out."""

    def file(self, evidence: ids.EvidenceId, path: str) -> AsyncGenerator[bytes, None]:
        """Stream a file of a dataset."""

    async def hand_in(
        self, organisation: int, documents: Mapping[ids.OrderId, bytes]
    ) -> Mapping[ids.OrderId, str]:
        """Hand in result documents, at most `MOST_RESULTS`; return what was not kept, and why."""


class HttpSource:
    """The service's API under a bearer token of this organisation."""

    def __init__(
        self, url: str, token: str, transport: httpx.AsyncBaseTransport | None = None
    ) -> None:
        headers = {"Authorization": f"Bearer {token}", "Accept-Encoding": "identity"}
        self._client = httpx.AsyncClient(
            base_url=url,
            headers=headers,
            transport=transport or Wire(connect=CONNECT_SECONDS, read=READ_SECONDS),
        )

    async def feed(self, after: int, wait: float) -> list[Any]:
        """Return lines behind a sequence. Nothing is said of what they hold."""
        query = {"after": after, "wait": wait, "inline": INLINE_BYTES}
        answer = await self._get("/v1/feed", MAX_FEED_BYTES, query)
        try:
            return list(json.loads(answer)["items"])
        except NOT_AS_TOLD as exc:
            raise SourceDown("Not a feed.") from exc

    async def envelope(self, evidence: ids.EvidenceId) -> bytes:
        """Return the DSSE envelope of a piece of evidence."""
        return await self._get(f"/v1/evidence/{evidence.hex()}/envelope", MAX_ENVELOPE_BYTES)

    async def document(self, order: ids.OrderId) -> bytes:
        """Return an order's document."""
        answer = await self._get(f"/v1/orders/{order.hex()}", MAX_ORDER_BYTES)
        try:
            return _base64(json.loads(answer)["document"])
        except NOT_AS_TOLD as exc:
            raise SourceDown("Not an order.") from exc

    async def report(self, digest: bytes) -> bytes:
        """Return the report of a close-out; whether it is the one is the caller's to see."""
        return await self._get(f"/v1/close-outs/{digest.hex()}", MAX_REPORT_BYTES)

    async def file(self, evidence: ids.EvidenceId, path: str) -> AsyncGenerator[bytes, None]:
        """Stream a file of a dataset. An end before the announced length is SourceDown."""
        url = f"/v1/evidence/{evidence.hex()}/files/{quote(path)}"
        try:
            async with self._client.stream("GET", url) as answer:
                _check(answer, path)
                async for chunk in answer.aiter_raw():
                    yield chunk
        except httpx.HTTPError as exc:
            raise SourceDown(repr(exc)) from exc

    async def hand_in(
        self, organisation: int, documents: Mapping[ids.OrderId, bytes]
    ) -> Mapping[ids.OrderId, str]:
        """Hand in result documents; the same again is no error. Return what was not kept, and why.

        What the service does not say that it keeps, it does not.
        """
        results = [
            {
                "order": order.hex(),
                "organisation": organisation,
                "document": base64.b64encode(document).decode(),
            }
            for order, document in documents.items()
        ]
        body = json.dumps({"results": results}).encode()
        answer = await self._ask("POST", "/v1/results", MAX_RESULTS_BYTES, body=body)
        try:
            told = {item["order"]: item for item in json.loads(answer)["results"]}
            return {
                order: str(told.get(order.hex(), {}).get("detail", "It says nothing."))[:200]
                for order in documents
                if told.get(order.hex(), {}).get("kept") is not True
            }
        except NOT_AS_TOLD as exc:
            raise SourceDown("Not an answer to results.") from exc

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def _get(self, path: str, limit: int, query: dict[str, Any] | None = None) -> bytes:
        return await self._ask("GET", path, limit, query=query)

    async def _ask(
        self,
        method: str,
        path: str,
        limit: int,
        *,
        query: dict[str, Any] | None = None,
        body: bytes | None = None,
    ) -> bytes:
        """Return a whole answer: never more than `limit` bytes, never after more than patience."""
        found = bytearray()
        headers = {"Content-Type": "application/json"} if body is not None else {}
        try:
            async with (
                asyncio.timeout(PATIENCE_SECONDS),
                self._client.stream(
                    method, path, params=query, content=body, headers=headers
                ) as answer,
            ):
                _check(answer, path)
                async for chunk in answer.aiter_raw():
                    found += chunk
                    if len(found) > limit:
                        raise SourceDown("The answer has no end.", path=path, limit=limit)
        except (httpx.HTTPError, TimeoutError) as exc:
            raise SourceDown(repr(exc)) from exc
        return bytes(found)


def announced(item: dict[str, Any]) -> Announced:
    """Read a line `order` of the feed, or an entry of the journal. Raise UnknownField."""
    try:
        body = item.get("body", item)
        return Announced(
            order=ids.OrderId(ids.parse32(item["order"])),
            content=Content.from_json(body["content"]),
            document=_base64(body["document"]),
            envelope=_base64(body["envelope"]),
            files=_files(item.get("files")),
        )
    except NOT_AS_TOLD as exc:
        raise errors.UnknownField("Not an announcement.", cause=repr(exc)) from exc


def _files(told: Any) -> dict[str, bytes]:
    """Read what came along. What is no file is left out: it will be fetched."""
    found = {}
    for path, text in told.items() if isinstance(told, dict) else ():
        with suppress(errors.UnknownField):
            found[path] = _base64(text)
    return found


def close_out(item: dict[str, Any]) -> CloseOut:
    """Read a line `close-out` of the feed, or an entry of the journal. Raise UnknownField."""
    try:
        body = item.get("body", item)
        return CloseOut(
            order=ids.OrderId(ids.parse32(item["order"])),
            content=Content.from_json(body["content"]),
            outcome=Outcome(body["outcome"]),
            digest=ids.parse32(body["closeOut"]),
        )
    except NOT_AS_TOLD as exc:
        raise errors.UnknownField("Not a close-out.", cause=repr(exc)) from exc


def _check(answer: httpx.Response, what: str) -> None:
    if answer.status_code == NOT_FOUND:
        raise errors.NotFound("The service does not have it.", found=what)
    if not answer.is_success:
        raise SourceDown(found=answer.status_code, path=what)


def _base64(text: Any) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, TypeError, ValueError) as exc:
        raise errors.UnknownField("Not base64.") from exc
