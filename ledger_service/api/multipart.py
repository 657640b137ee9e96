"""A multipart body (RFC 7578) as a stream of parts, none of which is ever held whole.

Frameworks spool each file to a disk of their own first; here bytes go straight to storage.
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from urllib.parse import unquote_to_bytes

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from ledger_service.domain import errors

MAX_HEADER_BYTES = 8 * 1024
Event = tuple[str, bytes]


def boundary_of(content_type: str) -> bytes:
    """Return the boundary of a multipart/form-data content type. Raise BadMultipart."""
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 1 <= len(boundary) <= 70:  # noqa: PLR2004  RFC 2046, 5.1.1
        raise errors.BadMultipart("No boundary of 1 to 70 characters.")
    return boundary


class Part:
    """One part: its name, its file name (percent-decoded), and its bytes, to be read once."""

    def __init__(self, headers: dict[str, str], body: Body) -> None:
        kind, options = parse_options_header(headers.get("content-disposition", ""))
        if kind != b"form-data":
            raise errors.BadMultipart("A part without Content-Disposition: form-data.")
        self.name = options.get(b"name", b"").decode("utf-8", "replace")
        self.filename = _path(options.get(b"filename", b""))
        for header in ("content-encoding", "content-transfer-encoding"):
            if headers.get(header, "binary").lower() not in {"identity", "binary", "8bit", "7bit"}:
                raise errors.BadMultipart("Parts are sent as they are, not encoded.", found=header)
        self._body = body

    def chunks(self) -> AsyncIterator[bytes]:
        """Stream the part's bytes. Raise TruncatedBody."""
        return self._body.data()

    async def read(self, limit: int) -> bytes:
        """Return a small part whole. Raise TooLarge."""
        found = bytearray()
        async for chunk in self.chunks():
            found += chunk
            if len(found) > limit:
                raise errors.TooLarge("A part.", name=self.name, expected=f"at most {limit}")
        return bytes(found)


class Body:
    """The parser with the events that it made and nobody took yet."""

    def __init__(self, stream: AsyncIterator[bytes], boundary: bytes) -> None:
        self._stream = stream
        self._events: deque[Event] = deque()
        add = self._events.append
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": lambda: add(("part", b"")),
                "on_header_field": lambda data, start, end: add(("field", data[start:end])),
                "on_header_value": lambda data, start, end: add(("value", data[start:end])),
                "on_header_end": lambda: add(("header", b"")),
                "on_headers_finished": lambda: add(("headers", b"")),
                "on_part_data": lambda data, start, end: add(("data", data[start:end])),
                "on_part_end": lambda: add(("part end", b"")),
                "on_end": lambda: add(("end", b"")),
            },
        )

    async def parts(self) -> AsyncIterator[Part]:
        """Yield the parts in order; what is not read of one is skipped. Raise BadMultipart."""
        while True:
            kind, _ = await self._next()
            if kind == "end":
                return
            if kind == "part":
                yield Part(await self._headers(), self)

    async def data(self) -> AsyncIterator[bytes]:
        """Yield the bytes of the present part."""
        while True:
            kind, data = await self._next()
            if kind == "part end":
                return
            if kind == "data":
                yield data

    async def _headers(self) -> dict[str, str]:
        """Read a part's headers, as Latin-1: each character is a byte."""
        headers: dict[str, str] = {}
        field, value, size = b"", b"", 0
        while True:
            kind, data = await self._next()
            size += len(data)
            if size > MAX_HEADER_BYTES:
                raise errors.BadMultipart("The headers of a part are too long.")
            if kind == "headers":
                return headers
            if kind == "field":
                field += data
            elif kind == "value":
                value += data
            elif kind == "header":
                name = field.decode("latin-1").lower()
                if name in headers:  # two readers might each take another one
                    raise errors.BadMultipart("A header stands twice.", found=repr(name[:40]))
                headers[name] = value.decode("latin-1")
                field = value = b""

    async def _next(self) -> Event:
        while not self._events:
            chunk = await anext(self._stream, b"")
            if not chunk:
                raise errors.TruncatedBody("The closing boundary is missing.")
            try:
                self._parser.write(chunk)
            except FormParserError as exc:
                raise errors.BadMultipart(str(exc)[:200]) from exc
        return self._events.popleft()


def _path(raw: bytes) -> str:
    """Return a file name percent-decoded; bytes that are no UTF-8 stay visible as surrogates."""
    return unquote_to_bytes(raw).decode("utf-8", "surrogateescape")
