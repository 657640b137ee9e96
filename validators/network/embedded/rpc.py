"""JSON-RPC 2.0: one request or a batch in, one answer or a list of them out. Errors like geth's."""

from __future__ import annotations

import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
NO_METHOD = -32601
INVALID_PARAMS = -32602
SERVER_ERROR = -32000
REVERTED = 3
BATCH_LIMIT = 1000

Method = Callable[[list[Any]], Awaitable[Any]]
log = logging.getLogger(__name__)


class RpcError(Exception):
    """An answer that is an error: code, text, and data if the protocol has some."""

    def __init__(self, code: int, message: str, data: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.data = data

    def to_json(self) -> dict[str, Any]:
        """Return the error object of JSON-RPC."""
        extra = {} if self.data is None else {"data": self.data}
        return {"code": self.code, "message": self.message, **extra}


async def answer(body: bytes | str, methods: Mapping[str, Method]) -> bytes | None:
    """Answer a request or a batch; None if all of it were notifications."""
    try:
        request = json.loads(body)
    except (ValueError, RecursionError):
        return _encode(_failure(None, RpcError(PARSE_ERROR, "parse error")))
    if not isinstance(request, list):
        reply = await _one(request, methods)
        return None if reply is None else _encode(reply)
    if not request or len(request) > BATCH_LIMIT:
        text = "batch too large" if request else "empty batch"
        return _encode(_failure(None, RpcError(INVALID_REQUEST, text)))
    replies = [reply for one in request if (reply := await _one(one, methods)) is not None]
    return _encode(replies) if replies else None


async def _one(request: Any, methods: Mapping[str, Method]) -> dict[str, Any] | None:
    if not isinstance(request, dict) or not isinstance(request.get("method"), str):
        return _failure(None, RpcError(INVALID_REQUEST, "invalid request"))
    try:
        result = await _call(request, methods)
    except RpcError as exc:
        return _failure(request.get("id"), exc)
    if "id" not in request:
        return None
    return {"jsonrpc": "2.0", "id": request["id"], "result": result}


async def _call(request: Mapping[str, Any], methods: Mapping[str, Method]) -> Any:
    name, params = request["method"], request.get("params", [])
    if name not in methods:
        raise RpcError(NO_METHOD, f"the method {name} does not exist/is not available")
    if not isinstance(params, list):
        raise RpcError(INVALID_PARAMS, "non-array args")
    return await methods[name](params)


def _failure(identity: Any, error: RpcError) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": identity, "error": error.to_json()}


def _encode(reply: Any) -> bytes:
    return json.dumps(reply, separators=(",", ":")).encode()
