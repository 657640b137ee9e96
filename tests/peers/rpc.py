"""Plain JSON-RPC over HTTP for the fixtures: no client library between the test and the node."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from http.client import HTTPException
from pathlib import Path
from typing import Any

from validators.network.files import Network


class RpcFailed(Exception):
    """The node answered with an error object."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error)
        self.error = error


def rpc(url: str, method: str, *params: Any) -> Any:
    """Ask a node; return the result. Raise RpcFailed or OSError."""
    request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}
    reply = post(url, request)
    if "error" in reply:
        raise RpcFailed(reply["error"])
    return reply["result"]


def post(url: str, body: Any) -> Any:
    """Post JSON; return JSON. `body` may be a batch. Raise OSError, also for an answer cut off."""
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)  # noqa: S310  loopback
    try:
        with urllib.request.urlopen(request, timeout=30) as reply:  # noqa: S310  loopback
            return json.load(reply)
    except HTTPException as exc:  # the node died in the middle of its answer
        raise ConnectionResetError(str(exc)) from exc


def ready(path: Path) -> bool:
    """Say whether the first node of a network file answers."""
    if not path.exists():
        return False
    try:
        rpc(Network.load(path).nodes[0].rpc, "eth_chainId")
    except (OSError, ValueError):
        return False
    return True
