"""Nodes made up for a test, that answer as it says; and a client of them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from ledger_service.chain import reading
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.settings import ChainSettings, Deployment
from ledger_service.domain import headers, ids
from ledger_service.domain.facts import Block
from ledger_service.domain.tries import EMPTY_ROOT

CHAIN_ID = 1337
GENESIS = b"\x07" * 32
CONTRACT = ids.Address(b"\x0c" * 20)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def block_fields(number: int, **fields: Any) -> dict[str, Any]:
    """Return a block that hashes to its name; block 0 by its name alone is known."""
    told = {
        "parentHash": "0x" + bytes(32).hex(),
        **dict.fromkeys(("sha3Uncles", "stateRoot", "transactionsRoot"), "0x" + "11" * 32),
        "receiptsRoot": "0x" + EMPTY_ROOT.hex(),
        "miner": "0x" + bytes(20).hex(),
        "logsBloom": "0x" + bytes(256).hex(),
        **dict.fromkeys(("difficulty", "gasLimit", "gasUsed", "timestamp"), "0x1"),
        "number": hex(number),
        "extraData": "0x",
        "mixHash": "0x" + bytes(32).hex(),
        "nonce": "0x" + bytes(8).hex(),
        "transactions": [],
        **fields,
    }
    name = GENESIS if number == 0 else headers.from_rpc(told).keccak()
    return {**told, "hash": "0x" + name.hex()}


def block_of(fields: dict[str, Any]) -> Block:
    return reading.seen(fields).block


BLOCK = block_of(block_fields(9))


class Liar:
    """A node of our chain that answers rightly, but for what `says` has."""

    def __init__(self, nine: dict[str, Any] | None = None, **says: Any) -> None:
        """`nine`: what it has for block 9, its newest; `at_height` in `says`: that by its height."""
        self.nine = nine or block_fields(9)
        self.says = says
        self.chain_id = CHAIN_ID
        self.asked: list[str] = []

    async def serve(self, request: web.Request) -> web.Response:
        asked = await request.json()
        self.asked.append(asked["method"])
        return web.json_response(
            {"jsonrpc": "2.0", "id": asked["id"], "result": self.answer(asked)}
        )

    def answer(self, asked: dict[str, Any]) -> Any:
        method = asked["method"]
        if method in self.says:
            return self.says[method]
        match method:
            case "eth_chainId":
                return hex(self.chain_id)
            case "eth_getBlockByNumber":
                height = asked["params"][0]
                nine = self.says.get("at_height", self.nine)
                return block_fields(0) if height == "0x0" else nine
            case "eth_getBlockByHash":
                return self.nine
        return "0x1"


@asynccontextmanager
async def serving(
    *handlers: Handler, patience: float = 10.0, kind: type[ChainLedger] = ChainLedger
) -> AsyncIterator[ChainLedger]:
    """Serve each handler as a node; yield a client of them, in this order."""
    app = web.Application()
    for number, handler in enumerate(handlers):
        app.router.add_route("*", f"/{number}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    port = runner.addresses[0][1]
    urls = [f"http://127.0.0.1:{port}/{number}" for number in range(len(handlers))]
    fees = (("gasPrice", 0),)
    settings = ChainSettings("embedded", CHAIN_ID, tuple(urls), (), 0, 0.1, fees, patience)
    deployment = Deployment(CHAIN_ID, GENESIS, ids.Address(bytes(20)), CONTRACT, 1)
    ledger = kind(settings, deployment)
    try:
        yield ledger
    finally:
        await ledger.close()
        await runner.cleanup()
