"""A question to a node by JSON-RPC over HTTP, for the launcher: no client library, short timeouts."""

from __future__ import annotations

from typing import Any

import httpx

from ledger_service.domain import errors

TIMEOUT_SECONDS = 5.0


async def ask(url: str, method: str, *params: Any) -> Any:
    """Return the result. Raise NodeUnreachable without an answer, NodeFailed for an error answer."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    try:
        # A proxy of the environment has no business between this machine and itself.
        async with httpx.AsyncClient(timeout=TIMEOUT_SECONDS, trust_env=False) as client:
            reply = (await client.post(url, json=request)).json()
    except (httpx.HTTPError, ValueError) as exc:
        raise errors.NodeUnreachable(url=url, found=repr(exc)) from exc
    if not isinstance(reply, dict) or "result" not in reply:
        raise errors.NodeFailed(url=url, method=method, found=reply)
    return reply["result"]


async def height(url: str) -> int:
    """Return a node's height."""
    return int(await ask(url, "eth_blockNumber"), 16)


async def answers(url: str) -> bool:
    """Say whether a node serves requests."""
    try:
        await ask(url, "eth_chainId")
    except errors.ChainError:
        return False
    return True
