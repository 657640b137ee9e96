from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from ledger_service.chain.rpc import Node


class Counting:
    """A node that answers everything alike, and counts the connections it was asked by."""

    def __init__(self, answer: dict[str, Any]) -> None:
        self.answer = answer
        self.connections: set[int] = set()

    async def serve(self, request: web.Request) -> web.Response:
        self.connections.add(id(request.transport))
        asked = await request.json()
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], **self.answer})


@asynccontextmanager
async def asked(node: Counting) -> AsyncIterator[Node]:
    app = web.Application()
    app.router.add_post("/", node.serve)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    client = Node(f"http://127.0.0.1:{runner.addresses[0][1]}/")
    try:
        yield client
    finally:
        await client.close()
        await runner.cleanup()


async def test_one_connection_serves_many_questions() -> None:
    node = Counting({"result": "0x1"})

    async with asked(node) as client:
        answers = [await client.call("eth_blockNumber") for _ in range(5)]

    assert answers == ["0x1"] * 5
    assert len(node.connections) == 1


async def test_a_node_that_still_indexes_does_not_know_a_transaction_yet() -> None:
    error = {"code": -32000, "message": "transaction indexing is in progress"}

    async with asked(Counting({"error": error})) as client:
        assert await client.call("eth_getTransactionReceipt", "0x" + "00" * 32) is None
