from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from ledger_service.chain.rpc import Node, RpcFailed
from ledger_service.chain.together import TogetherLedger
from ledger_service.domain import errors
from tests.conformance import rows as make
from tests.integration.chain.liars import Liar, serving
from tests.peers.consortium import ASSET, DETECTOR, DEVICE


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


class Views(Liar):
    """A node that answers view calls with yes, the device's with an error; it notes how many came."""

    def __init__(self) -> None:
        super().__init__()
        self.views: list[int] = []

    async def serve(self, request: web.Request) -> web.Response:
        asked = await request.json()
        items = asked if isinstance(asked, list) else [asked]
        if items[0]["method"] == "eth_call":
            self.views.append(len(items))
        answers = [{"jsonrpc": "2.0", "id": item["id"], **self.said(item)} for item in items]
        return web.json_response(answers if isinstance(asked, list) else answers[0])

    def said(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] != "eth_call":
            return {"result": self.answer(asked)}
        if DEVICE.hex() in asked["params"][0]["data"]:
            return {"error": {"code": -32000, "message": "out of gas"}}
        return {"result": "0x" + "00" * 31 + "01"}


async def test_the_questions_of_one_moment_are_one_request_and_fail_each_for_itself() -> None:
    node = Views()

    async with serving(node.serve, kind=TogetherLedger) as ledger:
        found = await asyncio.gather(
            ledger.detector_live(DETECTOR),
            ledger.device_live(ASSET, DEVICE),
            ledger.is_builder(make.SIGNER),
            return_exceptions=True,
        )
        later = await ledger.detector_live(DETECTOR)

    assert node.views == [3, 1]
    assert (found[0], type(found[1]), found[2], later) == (True, RpcFailed, False, True)


class Broken(Views):
    """A node whose answer about a device is none."""

    def said(self, asked: dict[str, Any]) -> dict[str, Any]:
        if asked["method"] == "eth_call" and DEVICE.hex() in asked["params"][0]["data"]:
            return {"neither": "result nor error"}
        return super().said(asked)


async def test_an_answer_that_is_none_fails_no_other_question_of_its_moment() -> None:
    async with serving(Broken().serve, kind=TogetherLedger) as ledger:
        found = await asyncio.gather(
            ledger.detector_live(DETECTOR),
            ledger.device_live(ASSET, DEVICE),
            ledger.is_builder(make.SIGNER),
            return_exceptions=True,
        )

    assert (found[0], type(found[1]), found[2]) == (True, errors.NodeUnreachable, False)
