from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from ledger_service.chain.rpc import Node, RpcFailed
from ledger_service.domain import errors


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


async def test_a_node_that_still_indexes_does_not_say_that_a_transaction_is_not_mined() -> None:
    error = {"code": -32000, "message": "transaction indexing is in progress"}

    async with asked(Counting({"error": error})) as client:
        with pytest.raises(RpcFailed, match="indexing"):
            await client.call("eth_getTransactionReceipt", "0x" + "00" * 32)


@pytest.mark.parametrize("says", ["401", "no JSON", "nothing", "silence"])
async def test_no_secret_of_a_nodes_address_is_in_what_is_told_of_it(says: str) -> None:
    async def serve(request: web.Request) -> web.Response:
        if says == "silence":
            await asyncio.sleep(60)
        assert request.headers["Authorization"].startswith("Basic ")
        return web.Response(status=401 if says == "401" else 200, text="no")

    app = web.Application()
    app.router.add_post("/k3y", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host = f"127.0.0.1:{runner.addresses[0][1] if says != 'nothing' else 1}"
    client = Node(f"http://anna:hunter2@{host}/k3y?sig=s3cret", timeout=0.5)
    try:
        for ask in (client.call("eth_chainId"), client.call_many("eth_chainId", [(), ()])):
            with pytest.raises((errors.NodeUnreachable, errors.BadAnswer)) as caught:
                await ask
            told = str(caught.value)
            assert host in told
            hidden = ("anna", "hunter2", "k3y", "s3cret", "Basic")
            assert [secret for secret in hidden if secret in told] == []
    finally:
        await client.close()
        await runner.cleanup()
