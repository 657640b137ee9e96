"""New heads, by subscription where a node takes one, else by asking again and again."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
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
MAX_FRAME_BYTES = 4 * 1024 * 1024
#: What a source may fail with: it is left for the next one.
FAILURES = (OSError, WebSocketException, TimeoutError, errors.ChainError)


async def follow(
    settings: ChainSettings,
    head: Callable[[], Awaitable[Block]],
    read: Callable[[Any], Block | None],
) -> AsyncIterator[Block]:
    """Yield heads for ever; each source that fails is followed by the next, and by polling.

    Each subscription begins with the newest block there is, so nobody waits on a quiet chain.
    """
    silence = max(10 * settings.period, 5.0)
    while True:
        for url in settings.ws:
            with contextlib.suppress(*FAILURES):
                async with contextlib.aclosing(_subscribe(url, head, read, silence)) as blocks:
                    async for block in blocks:
                        yield block
        with contextlib.suppress(errors.ChainError):
            yield await head()
        await asyncio.sleep(max(settings.period / 4, MIN_POLL_SECONDS))


async def _subscribe(
    url: str,
    head: Callable[[], Awaitable[Block]],
    read: Callable[[Any], Block | None],
    silence: float,
) -> AsyncGenerator[Block]:
    """Yield heads of one node until it is silent for too long or the connection ends."""
    # No proxy of the environment: nodes are named by address, and mostly on this machine.
    async with connect(
        url, open_timeout=OPEN_SECONDS, max_size=MAX_FRAME_BYTES, proxy=None
    ) as socket:
        await socket.send(SUBSCRIBE)
        while True:
            frame = _frame(await asyncio.wait_for(socket.recv(), silence))
            if frame.get("method") == "eth_subscription":
                block = read(_result(frame))
                if block is not None:
                    yield block
            elif "error" in frame:
                raise errors.BadAnswer("No subscription.", found=str(frame["error"])[:120])
            elif "result" in frame:
                yield await head()


def _result(frame: dict[str, Any]) -> Any:
    parameters = frame.get("params")
    if not isinstance(parameters, dict) or "result" not in parameters:
        raise errors.BadAnswer("Not a notification.", found=str(frame)[:80])
    return parameters["result"]


def _frame(text: str | bytes) -> dict[str, Any]:
    try:
        frame = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise errors.BadAnswer("Not a frame.", found=repr(text[:80])) from exc
    if not isinstance(frame, dict):
        raise errors.BadAnswer("Not a frame.", found=repr(text[:80]))
    return frame
