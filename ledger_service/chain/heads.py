"""New heads, by subscription where a node takes one, else by asking again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors
from ledger_service.domain.facts import Block

SUBSCRIBE = json.dumps(
    {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
)
OPEN_SECONDS = 5
MIN_POLL_SECONDS = 0.05


async def follow(
    settings: ChainSettings,
    head: Callable[[], Awaitable[Block]],
    read: Callable[[Any], Block | None],
) -> AsyncIterator[Block]:
    """Yield heads for ever; each source that fails is followed by the next, and by polling."""
    silence = max(10 * settings.period, 5.0)
    while True:
        for url in settings.ws:
            with contextlib.suppress(OSError, WebSocketException, TimeoutError, errors.ChainError):
                async for block in _subscribe(url, read, silence):
                    yield block
        with contextlib.suppress(errors.ChainError):
            yield await head()
        await asyncio.sleep(max(settings.period / 4, MIN_POLL_SECONDS))


async def _subscribe(
    url: str, read: Callable[[Any], Block | None], silence: float
) -> AsyncIterator[Block]:
    """Yield heads of one node until it is silent for too long or the connection ends."""
    async with connect(url, open_timeout=OPEN_SECONDS, max_size=None) as socket:
        await socket.send(SUBSCRIBE)
        while True:
            frame = json.loads(await asyncio.wait_for(socket.recv(), silence))
            if frame.get("method") == "eth_subscription":
                block = read(frame["params"]["result"])
                if block is not None:
                    yield block
            elif "error" in frame:
                raise errors.BadAnswer("No subscription.", found=str(frame["error"])[:120])
