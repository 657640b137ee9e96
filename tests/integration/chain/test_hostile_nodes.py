"""Nodes that answer wrongly, too much, too late, or for another chain."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from ledger_service.chain import rpc
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import calls, errors, ids
from ledger_service.domain.calls import Sent
from tests.conformance import rows as make
from tests.integration.chain.liars import BLOCK, CHAIN_ID, Handler, Liar, serving


def body(text: str | bytes, *, status: int = 200) -> Handler:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(body=text, status=status, content_type="application/json")

    return answer


def deep() -> bytes:
    return b"[" * 200_000 + b"]" * 200_000


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"no json",
        b"\xff\xfe",
        b"[]",
        b"null",
        b"{}",
        b'{"jsonrpc":"2.0","id":1}',
        b'{"jsonrpc":"2.0","id":1,"result":{}}',
        b'{"jsonrpc":"2.0","id":1,"error":"text"}',
        b'{"jsonrpc":"2.0","id":1,"error":{"code":"x","message":null}}',
        deep(),
    ],
    ids=lambda text: repr(text[:24]),
)
async def test_an_answer_of_another_shape_has_a_name(text: bytes) -> None:
    async with serving(body(text)) as ledger:
        with pytest.raises(errors.ChainError):
            await ledger.head()
        with pytest.raises(errors.ChainError):
            await ledger.nonce(make.SIGNER)
        assert await ledger.send(b"\x02raw") in {Sent.RETRY, Sent.UNCLEAR}


@pytest.mark.parametrize("module", ["rpc", "keys", "client"])
def test_json_that_is_too_deep_raises_where_the_chain_is_imported(module: str) -> None:
    """Packages below lift the recursion limit so far that the parser would end the process."""
    program = f"""
import json
import ledger_service.chain.{module}
try:
    json.loads("[" * 10**6)
except RecursionError:
    print("raised")
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout) == (0, "raised\n")


WRONG: list[Any] = [None, [], {}, "0xzz", "text", 7, {"hash": 1}, [[]], ["0x"], [None], "0x00"]


@pytest.mark.parametrize("wrong", WRONG, ids=repr)
async def test_a_result_of_another_shape_has_a_name(wrong: Any) -> None:
    """Each question either gets a value of its type, or raises a ChainError: never anything else."""
    block = BLOCK
    order = ids.OrderId(bytes(32))
    names = ("eth_call", "eth_getLogs", "eth_getTransactionCount", "eth_getTransactionReceipt")
    says = dict.fromkeys((*names, "eth_getProof", "eth_getBlockReceipts"), wrong)
    async with serving(Liar(**says).serve) as ledger:
        questions: list[Callable[[], Awaitable[Any]]] = [
            lambda: ledger.nonce(make.SIGNER),
            lambda: ledger.facts(block),
            lambda: ledger.receipt(ids.TxHash(bytes(32))),
            lambda: ledger.word(order),
            lambda: ledger.version(ids.VersionId(bytes(32))),
            lambda: ledger.organisation(1),
            lambda: ledger.simulate(calls.Withdraw(make.order(1).content), make.SIGNER),
            lambda: ledger.capture(order, block),
        ]
        for question in questions:
            with contextlib.suppress(errors.ChainError):
                await question()


async def test_an_answer_without_an_end_is_read_no_further() -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b'{"jsonrpc":"2.0","id":1,"result":"')
        while sent < 4 * rpc.MAX_ANSWER_BYTES:
            await response.write(b"0" * 1024 * 1024)
            sent += 1024 * 1024
        return response

    async with serving(endless, Liar().serve) as ledger:
        assert (await ledger.head()).number == 9
    assert sent < 2 * rpc.MAX_ANSWER_BYTES


async def test_a_node_that_is_slow_is_left_for_another() -> None:
    hanging = asyncio.Event()

    async def hang(_: web.Request) -> web.Response:
        await hanging.wait()
        return web.Response()

    async with serving(hang, Liar().serve, patience=0.3) as ledger:
        assert (await ledger.head()).number == 9
        hanging.set()


@pytest.mark.parametrize("status", [400, 401, 403, 413, 429, 500, 503])
async def test_a_node_that_refuses_by_http_is_away(status: int) -> None:
    async with serving(body(b"{}", status=status), Liar().serve) as ledger:
        assert (await ledger.head()).number == 9
    async with serving(body(b"{}", status=status)) as ledger:
        with pytest.raises(errors.NodeUnreachable):
            await ledger.head()


async def test_a_node_of_another_chain_is_passed_over_and_alone_it_is_named() -> None:
    other = Liar()
    other.chain_id = 4711
    async with serving(other.serve, Liar().serve) as ledger:
        assert (await ledger.head()).number == 9
        assert await ledger.send(b"\x02raw") is Sent.ACCEPTED
    assert "eth_sendRawTransaction" not in other.asked
    async with serving(other.serve) as ledger:
        with pytest.raises(errors.WrongChain):
            await ledger.head()
        assert await ledger.send(b"\x02raw") is Sent.RETRY


async def test_a_node_that_comes_back_with_another_chain_is_found_out() -> None:
    node, away = Liar(), False

    async def sometimes(request: web.Request) -> web.Response:
        return web.Response(status=503) if away else await node.serve(request)

    async with serving(sometimes) as ledger:
        assert (await ledger.head()).number == 9
        away = True
        with pytest.raises(errors.NodeUnreachable):
            await ledger.head()
        away, node.chain_id = False, 4711
        with pytest.raises(errors.WrongChain):
            await ledger.head()


def failing(node: Liar, method: str, code: int, text: str) -> Handler:
    """Return a node that answers a method with an error."""

    async def answer(request: web.Request) -> web.Response:
        asked = await request.json()
        if asked["method"] != method:
            return await node.serve(request)
        error = {"code": code, "message": text}
        return web.json_response({"jsonrpc": "2.0", "id": asked["id"], "error": error})

    return answer


ORDER = ids.OrderId(bytes(32))
AWAY = body(b"{}", status=503)
PRUNED = Liar(eth_getBlockReceipts=[], eth_getProof=None)
NO_STATE = {
    "null": PRUNED.serve,
    "geth": failing(PRUNED, "eth_getProof", -32000, "missing trie node 55 (path ) state 0x55"),
    "besu": failing(PRUNED, "eth_getProof", -32000, "World state unavailable"),
    "no such call": failing(PRUNED, "eth_getProof", -32601, "the method is not available"),
}
TROUBLE = {
    "internal": failing(PRUNED, "eth_getProof", -32603, "Internal error"),
    "busy": failing(PRUNED, "eth_getProof", -32002, "request timed out"),
    "behind": failing(PRUNED, "eth_getProof", -32000, "header not found"),
    "behind, null": Liar(eth_getBlockReceipts=[], eth_getProof=None, at_height=None).serve,
    "no receipts": Liar(eth_getBlockReceipts=None, eth_getProof=None).serve,
    "receipts fail": failing(PRUNED, "eth_getBlockReceipts", -32603, "Internal error"),
    "a lie": Liar(eth_getBlockReceipts=[], eth_getProof={"storageProof": [{}]}).serve,
    "away": AWAY,
}


@pytest.mark.parametrize("says", NO_STATE)
async def test_who_keeps_no_state_says_so_and_there_is_no_proof(says: str) -> None:
    async with serving(NO_STATE[says], PRUNED.serve) as ledger:
        assert await ledger.capture(ORDER, BLOCK) is None


@pytest.mark.parametrize("trouble", TROUBLE)
async def test_a_node_in_trouble_may_keep_the_state_and_is_asked_again_for_a_while(
    trouble: str,
) -> None:
    async with serving(TROUBLE[trouble], PRUNED.serve) as ledger:
        with pytest.raises(errors.NodeUnreachable):
            await ledger.capture(ORDER, BLOCK)
        ledger.patience = 0
        assert await ledger.capture(ORDER, BLOCK) is None


async def test_where_no_node_answers_a_proof_is_never_given_up() -> None:
    async with serving(AWAY, AWAY) as ledger:
        ledger.patience = 0
        with pytest.raises(errors.NodeUnreachable):
            await ledger.capture(ORDER, BLOCK)


async def test_patience_with_a_node_in_trouble_begins_anew_after_an_answer() -> None:
    node = Liar(eth_getBlockReceipts=None, eth_getProof=None)
    async with serving(node.serve) as ledger:
        with pytest.raises(errors.NodeUnreachable):
            await ledger.capture(ORDER, BLOCK)
        node.says["eth_getBlockReceipts"] = []
        assert await ledger.capture(ORDER, BLOCK) is None
        assert ledger._unproven is None


FRAMES: list[Any] = [
    "no json",
    [],
    {"method": "eth_subscription"},
    {"method": "eth_subscription", "params": []},
    {"method": "eth_subscription", "params": {"result": {"number": "0x1"}}},
    {"id": 1, "error": {"code": -32601, "message": "no"}},
    "x" * 5 * 1024 * 1024,
]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: str(frame)[:40])
async def test_heads_go_on_whatever_a_subscription_says(frame: Any) -> None:
    async def lie(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive()
        await socket.send_str(frame if isinstance(frame, str) else json.dumps(frame))
        await socket.receive()
        return socket

    async with serving(Liar().serve, lie) as ledger:
        url = ledger.settings.rpc[1].replace("http", "ws")
        ledger.settings = ChainSettings(
            "embedded", CHAIN_ID, ledger.settings.rpc[:1], (url,), 0, 0.1, ()
        )
        async with asyncio.timeout(20), aclosing(ledger.heads()) as heads:  # type: ignore[type-var]  # a generator behind the port
            assert (await anext(heads)).number == 9
            assert (await anext(heads)).number == 9
