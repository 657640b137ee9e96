"""A fast webhook receiver in a process of its own: says 202, and tells on GET what came, and when.

python -m tests.peers.fast_hook [SECONDS: how long it thinks after it took an event]
"""

from __future__ import annotations

import asyncio
import sys
import time

import uvloop
from aiohttp import web

Arrivals = list[tuple[str, float]]


def handler(arrivals: Arrivals, pause: float) -> web.Server:
    """Return what answers: POST takes an event, GET tells (event id, seconds since the epoch)."""

    async def answer(request: web.BaseRequest) -> web.Response:
        if request.method == "GET":
            return web.json_response(arrivals)
        await request.read()
        arrivals.append((request.headers["webhook-id"], time.time()))
        if pause:
            await asyncio.sleep(pause)
        return web.Response(status=202)

    return web.Server(answer, access_log=None)


async def main(pause: float) -> None:
    """Print the address, then serve."""
    loop = asyncio.get_running_loop()
    server = await loop.create_server(handler([], pause), "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(f"http://127.0.0.1:{port}/hook\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(float(sys.argv[1]) if len(sys.argv) > 1 else 0))
