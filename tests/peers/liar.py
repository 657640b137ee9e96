"""An HTTP JSON-RPC proxy before a real node, that nulls, delays, rewrites or drops what it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import ClientError, ClientSession, web

#: What a lie makes of (method, parameters, the node's result).
Lie = Callable[[str, list[Any], Any], Any]


def honestly(method: str, parameters: list[Any], result: Any) -> Any:
    """Change nothing."""
    del method, parameters
    return result


@dataclass
class Liar:
    """A node with somebody between. Set `lie`, `delay` (seconds) or `dead` at any moment."""

    target: str
    url: str = ""
    lie: Lie = honestly
    delay: float = 0.0
    dead: bool = False
    asked: list[str] = field(default_factory=list)
    requests: int = 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        if self.delay:
            await asyncio.sleep(self.delay)
        if self.dead:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        self.requests += 1
        asked = await request.json()
        try:
            async with request.app[SESSION].post(self.target, json=asked) as answer:
                told = await answer.json()
        except ClientError:
            return web.Response(status=502)
        if isinstance(asked, list):
            by_id = {each["id"]: each for each in asked}
            return web.json_response([self._spoil(by_id[each["id"]], each) for each in told])
        return web.json_response(self._spoil(asked, told))

    def _spoil(self, asked: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(asked["method"])
        if "result" not in told:
            return told
        return {**told, "result": self.lie(asked["method"], asked["params"], told["result"])}


SESSION = web.AppKey("session", ClientSession)


@asynccontextmanager
async def between(*targets: str) -> AsyncIterator[list[Liar]]:
    """Put somebody before each of these nodes."""
    liars = [Liar(target) for target in targets]
    app = web.Application(client_max_size=64 * 1024 * 1024)
    for at, liar in enumerate(liars):
        app.router.add_post(f"/{at}", liar.serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    async with ClientSession() as session:
        app[SESSION] = session
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            port = runner.addresses[0][1]
            for at, liar in enumerate(liars):
                liar.url = f"http://127.0.0.1:{port}/{at}"
            yield liars
        finally:
            await runner.cleanup()
