"""`eth_subscribe` over one WebSocket: newHeads and logs."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from validators.network.embedded import params as read
from validators.network.embedded import shapes
from validators.network.embedded.blocks import Block
from validators.network.embedded.logs import matching
from validators.network.embedded.rpc import INVALID_PARAMS, NO_METHOD, Method, RpcError

Source = Callable[[Block], Iterator[dict[str, Any]]]


class Subscriptions:
    """The subscriptions of one connection. `push` takes each message, in order."""

    def __init__(self, push: Callable[[bytes], None]) -> None:
        self._push = push
        self._sources: dict[str, Source] = {}

    def methods(self, base: Mapping[str, Method]) -> dict[str, Method]:
        """Return the methods of this connection: the common ones and its own two."""
        own = {"eth_subscribe": self._subscribe, "eth_unsubscribe": self._unsubscribe}
        return {**base, **own}

    def announce(self, block: Block) -> None:
        """Push what a new block holds for each subscription."""
        for identity, source in self._sources.items():
            for result in source(block):
                params = {"subscription": identity, "result": result}
                message = {"jsonrpc": "2.0", "method": "eth_subscription", "params": params}
                self._push(json.dumps(message, separators=(",", ":")).encode())

    async def _subscribe(self, params: Sequence[Any]) -> str:
        kind = read.at(params, 0)
        if kind == "newHeads":
            read.no_more(params, 1)
            source: Source = _heads
        elif kind == "logs":
            raw = read.log_object(params[1] if len(params) > 1 else {}, 1)
            wanted = read.log_filter(raw, 1)
            source = lambda block: matching(block, wanted)  # noqa: E731  a closure over the filter
        else:
            raise RpcError(NO_METHOD, f'no "{kind}" subscription in eth namespace')
        identity = "0x" + secrets.token_hex(16)
        self._sources[identity] = source
        return identity

    async def _unsubscribe(self, params: Sequence[Any]) -> bool:
        if self._sources.pop(str(read.at(params, 0)), None) is None:
            raise RpcError(INVALID_PARAMS, "subscription not found")
        return True


def _heads(block: Block) -> Iterator[dict[str, Any]]:
    yield shapes.header_json(block)
