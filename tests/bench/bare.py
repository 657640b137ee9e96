"""The rival of the API: one FastAPI route that reads the same body and keeps nothing.

`python -m tests.bench.bare PORT`: on the same server, with the same settings, as the service.
"""

from __future__ import annotations

import asyncio
import sys

import uvicorn
import uvloop
from fastapi import FastAPI, Request, Response

app = FastAPI()


@app.get("/health/live")
async def live() -> dict[str, str]:
    return {"status": "live"}


@app.post("/v1/evidence", status_code=202)
async def take(request: Request, response: Response) -> dict[str, int]:
    size = 0
    async for chunk in request.stream():
        size += len(chunk)
    response.headers["Location"] = "/v1/evidence/0"
    return {"size": size}


async def serve(port: int) -> None:
    """Serve until SIGTERM."""
    config = uvicorn.Config(app, port=port, log_config=None, access_log=False, server_header=False)
    await uvicorn.Server(config).serve()


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    asyncio.run(serve(int(sys.argv[1])))
