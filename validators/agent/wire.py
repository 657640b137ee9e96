"""The wire to the service: httpx's transport interface over aiohttp's connections.

An agent under load makes some hundred small requests a second. httpx's own transport costs several
times the CPU of the checks that are made with the answers; aiohttp is there for the node anyway.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import aiohttp
import httpx
from yarl import URL

#: Shorter than any server keeps an idle connection (uvicorn: 5 s), so none is used that just ends.
KEEP_SECONDS = 2.0
READ_BYTES = 256 * 1024
BROKEN = (aiohttp.ClientError, OSError, TimeoutError)


class Wire(httpx.AsyncBaseTransport):
    """Connections to one service, kept and used again. Redirects are answers like any other."""

    def __init__(self, *, connect: float, read: float) -> None:
        """`connect`, `read`: seconds until a silent service is given up."""
        self._timeout = aiohttp.ClientTimeout(sock_connect=connect, sock_read=read)
        self._session: aiohttp.ClientSession | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; the body of the answer is streamed. Raise TransportError."""
        body = await request.aread()
        try:
            answer = await self._open().request(
                request.method,
                URL(str(request.url), encoded=True),
                data=body or None,
                headers=dict(request.headers),
                allow_redirects=False,
            )
        except BROKEN as exc:
            raise httpx.ConnectError(repr(exc), request=request) from exc
        return httpx.Response(answer.status, headers=list(answer.raw_headers), stream=_Body(answer))

    async def aclose(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None or self._session.closed:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(keepalive_timeout=KEEP_SECONDS),
                timeout=self._timeout,
                auto_decompress=False,
                cookie_jar=aiohttp.DummyCookieJar(),
                trust_env=True,
            )
        return self._session


class _Body(httpx.AsyncByteStream):
    """An answer's body; a connection whose answer was not read whole is not used again."""

    def __init__(self, answer: aiohttp.ClientResponse) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._answer.content.iter_chunked(READ_BYTES):
                yield chunk
        except BROKEN as exc:
            raise httpx.ReadError(repr(exc)) from exc

    async def aclose(self) -> None:
        self._answer.close()
