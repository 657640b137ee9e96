"""HTTP and WebSocket on one loopback port."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from validators.network.embedded.blocks import Block
from validators.network.embedded.methods import Methods
from validators.network.embedded.node import Node
from validators.network.embedded.rpc import answer
from validators.network.embedded.subscriptions import Subscriptions
from validators.network.files import NOT_A_NETWORK

BODY_LIMIT = 10 * 2**20
#: A subscriber that is so many messages behind is let go; it comes back and asks for the gap.
QUEUE_LIMIT = 50_000
_TOO_SLOW = 1013


def make_app(node: Node) -> Starlette:
    """Return the application that serves a node."""
    methods = Methods(node)

    async def http(request: Request) -> Response:
        body = b""
        async for chunk in request.stream():
            body += chunk
            if len(body) > BODY_LIMIT:
                return PlainTextResponse("content length too large", 413)
        reply = await answer(body, methods)
        return Response(reply or b"", media_type="application/json")

    async def about(_: Request) -> Response:
        return PlainTextResponse(f"{NOT_A_NETWORK}\nJSON-RPC by POST or WebSocket.\n")

    async def socket(connection: WebSocket) -> None:
        await _Connection(node, methods, connection).serve()

    routes = [
        Route("/", http, methods=["POST"]),
        Route("/", about, methods=["GET"]),
        WebSocketRoute("/", socket),
    ]
    hosts = Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
    return Starlette(routes=routes, middleware=[hosts])


class _Connection:
    """One WebSocket: answers and notifications leave through one queue, in order."""

    def __init__(self, node: Node, methods: Methods, socket: WebSocket) -> None:
        self._node = node
        self._socket = socket
        self._queue: asyncio.Queue[bytes] = asyncio.Queue(QUEUE_LIMIT)
        self._too_slow = asyncio.Event()
        self._subscriptions = Subscriptions(self._push)
        self._methods = self._subscriptions.methods(methods)

    async def serve(self) -> None:
        await self._socket.accept()
        self._node.listeners.add(self._announce)
        tasks = [asyncio.create_task(work()) for work in (self._read, self._write, self._guard)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._node.listeners.discard(self._announce)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            with contextlib.suppress(RuntimeError):  # the peer closed it already
                await self._socket.close(_TOO_SLOW if self._too_slow.is_set() else 1000)

    def _announce(self, block: Block) -> None:
        self._subscriptions.announce(block)

    def _push(self, message: bytes) -> None:
        try:
            self._queue.put_nowait(message)
        except asyncio.QueueFull:
            self._too_slow.set()

    async def _read(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                if (reply := await answer(await self._receive(), self._methods)) is not None:
                    self._push(reply)

    async def _receive(self) -> bytes | str:
        message = await self._socket.receive()
        if message["type"] == "websocket.disconnect":
            raise WebSocketDisconnect(message.get("code", 1000))
        text: str | None = message.get("text")
        return text if text is not None else message["bytes"]

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while True:
                await self._socket.send_text((await self._queue.get()).decode())

    async def _guard(self) -> None:
        await self._too_slow.wait()
