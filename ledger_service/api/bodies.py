"""The three ways in which evidence arrives: multipart stream, location, or plain JSON."""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import AsyncIterator
from typing import Any

from fastapi import Request
from starlette.requests import ClientDisconnect

from ledger_service.api.multipart import Body, boundary_of
from ledger_service.domain import canonical, dsse, errors
from ledger_service.services.seal import Seal, Sealed

MAX_ENVELOPE_BYTES = 2 * 1024 * 1024
MAX_JSON_BYTES = 16 * 1024 * 1024
ENVELOPE, FILE = "envelope", "file"


async def receive(request: Request, seal: Seal, *, only: str = "") -> Sealed:
    """Seal what the request holds, for the asset `only` if it is named.

    Raise UnsupportedMedia and all that sealing raises.
    """
    # A compressed body could unfold to any size; what is sealed is sent as it is.
    if {encoding.lower() for encoding in request.headers.getlist("content-encoding")} - {
        "identity"
    }:
        raise errors.UnsupportedMedia(found="content-encoding", expected="none")
    content_type = request.headers.get("content-type", "")
    match content_type.split(";")[0].strip().lower():
        case "multipart/form-data":
            return await _multipart(request, seal, content_type, only)
        case "application/json":
            return await _json(request, seal, only)
    raise errors.UnsupportedMedia(
        found=content_type[:80] or "nothing", expected="multipart/form-data or application/json"
    )


async def _multipart(request: Request, seal: Seal, content_type: str, only: str) -> Sealed:
    parts = Body(_stream(request), boundary_of(content_type)).parts()
    first = await anext(parts, None)
    if first is None or first.name != ENVELOPE:
        raise errors.BadMultipart("The first part must be named envelope.")
    sealing = await seal.begin(await first.read(MAX_ENVELOPE_BYTES), only=only)
    if isinstance(sealing, Sealed):
        return sealing  # known: the rest is not needed
    async with sealing:
        async for part in parts:
            if part.name != FILE:
                raise errors.BadMultipart("After the envelope come parts named file.")
            await sealing.file(part.filename, part.chunks())
        return await sealing.finish()


async def _json(request: Request, seal: Seal, only: str) -> Sealed:
    fields = await asyncio.to_thread(canonical.loads, await read_small(request, MAX_JSON_BYTES))
    if not isinstance(fields, dict):
        raise errors.UnknownField("Expected an object.")
    envelope = _envelope(fields)
    if fields.keys() == {"location"}:
        return await seal.from_location(envelope, _location(fields["location"]), only=only)
    if fields.keys() - {"files"}:
        raise errors.UnknownField(
            found=min(fields.keys() - {"files"})[:80],
            expected="envelope or statement; files or location",
        )
    sealing = await seal.begin(envelope, only=only)
    if isinstance(sealing, Sealed):
        return sealing
    async with sealing:
        for path, content in _files(fields.get("files", [])):
            await sealing.file(path, _once(content))
        return await sealing.finish()


def _envelope(fields: dict[str, Any]) -> bytes:
    """Take envelope or statement out of the fields; a bare statement is canonicalised, once."""
    if ("envelope" in fields) == ("statement" in fields):
        raise errors.UnknownField("Expected either envelope or statement.")
    if "envelope" in fields:
        return canonical.dumps(fields.pop("envelope"))
    payload = canonical.dumps(fields.pop("statement"))
    return dsse.Envelope(payload, dsse.STATEMENT_TYPE, ()).dumps()


def _location(fields: Any) -> str:
    match fields:
        case {"url": str(url), **others} if not others:
            return url
    raise errors.UnknownField("location: expected {url}.")


def _files(items: Any) -> list[tuple[str, bytes]]:
    if not isinstance(items, list):
        raise errors.UnknownField("files: expected a list of {path, content}.")
    return [_file(item) for item in items]


def _file(item: Any) -> tuple[str, bytes]:
    match item:
        case {"path": str(path), "content": str(content), **others} if not others:
            try:
                return path, base64.b64decode(content, validate=True)
            except (binascii.Error, ValueError) as exc:
                raise errors.UnknownField("files: content is not base64.") from exc
    raise errors.UnknownField("files: expected {path, content} each.")


async def read_small(request: Request, limit: int) -> bytes:
    """Return a body whole. Raise TooLarge."""
    body = bytearray()
    async for chunk in _stream(request):
        body += chunk
        if len(body) > limit:
            raise errors.TooLarge("The body.", expected=f"at most {limit} bytes")
    return bytes(body)


async def _stream(request: Request) -> AsyncIterator[bytes]:
    """Yield the body as it comes. Raise TruncatedBody."""
    try:
        async for chunk in request.stream():
            yield chunk
    except ClientDisconnect as exc:
        raise errors.TruncatedBody("The connection was cut.") from exc


async def _once(data: bytes) -> AsyncIterator[bytes]:
    yield data
