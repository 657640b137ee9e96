"""Following real chains behind nodes that lie, lag, hang and die."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from aiohttp import web

from ledger_service.chain.keys import LocalSigner
from ledger_service.commands.node_view import look_at_disputes, look_at_heads
from ledger_service.domain.calls import Call, Propose
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.services.dispute import accept
from ledger_service.services.loops import forever
from ledger_service.services.wakes import Wake
from tests.integration.chain.follower import following, forged, is_block, orders, told
from tests.peers.consortium import Founded, approve, mined, send
from tests.peers.liar import Lie

Change = Callable[[dict[str, Any]], Any]
Behaviour = Callable[[web.WebSocketResponse], Awaitable[None]]
Step = tuple[LocalSigner, Call]


def of_blocks(change: Change) -> Lie:
    return lambda method, _, result: change(result) if is_block(method, result) else result


def of_receipts(change: Callable[[list[Any]], Any]) -> Lie:
    def lie(method: str, _: list[Any], result: Any) -> Any:
        return change(result) if method == "eth_getBlockReceipts" else result

    return lie


def without_logs(receipt: dict[str, Any]) -> dict[str, Any]:
    return {**receipt, "logs": [], "logsBloom": "0x" + bytes(256).hex()}


LIES: dict[str, Lie] = {
    "blocks are null": of_blocks(lambda _: None),
    "old blocks are given": lambda method, _, result: (
        {**result, "number": "0x1"} if is_block(method, result, above=3) else result
    ),
    "another bloom": of_blocks(lambda b: {**b, "logsBloom": "0x" + bytes(256).hex()}),
    "another root of receipts": of_blocks(lambda b: {**b, "receiptsRoot": b["stateRoot"]}),
    "another parent": of_blocks(lambda b: {**b, "parentHash": b["stateRoot"]}),
    "another hash": of_blocks(lambda b: {**b, "hash": b["stateRoot"]}),
    "another time": of_blocks(lambda b: {**b, "timestamp": "0x1"}),
    "no receipts": of_receipts(lambda _: []),
    "receipts are null": of_receipts(lambda _: None),
    "the last receipt is left out": of_receipts(lambda told: told[:-1]),
    "events are left out": of_receipts(lambda told: [without_logs(it) for it in told]),
    "one event is left out": of_receipts(
        lambda told: [{**it, "logs": it["logs"][:-1]} for it in told]
    ),
    "events are doubled": of_receipts(lambda told: [{**it, "logs": it["logs"] * 2} for it in told]),
    "all is text": lambda _method, _asked, _result: "text",
}


@pytest.mark.parametrize("lie", LIES)
async def test_what_a_node_lies_about_is_taken_from_another_and_the_liar_is_left_alone(
    on_embedded: Founded, lie: str
) -> None:
    last = await orders(on_embedded, 1)
    url = on_embedded.settings.rpc[0]
    async with following(on_embedded, url) as honest:
        await honest.until(last)
    async with following(on_embedded, url, url) as follower:
        follower.liars[0].lie = LIES[lie]
        await follower.until(last)
        views = follower.ledger.nodes.views()

    assert told(follower.facts) == told(honest.facts)
    assert follower.blocks == honest.blocks
    assert len(follower.facts) >= 5
    assert [view.used for view in views] == [False, True]
    assert views[0].why
    assert not views[1].why


async def test_a_node_that_hangs_or_dies_in_the_middle_is_left_for_another(
    on_embedded: Founded,
) -> None:
    url = on_embedded.settings.rpc[0]
    async with following(on_embedded, url, url, timeout=0.5) as follower:
        await follower.until(await orders(on_embedded, 1))
        assert follower.ledger.nodes.used == 0
        follower.liars[0].delay = 30
        await follower.until(await orders(on_embedded, 1))
        assert follower.ledger.nodes.used == 1
        follower.liars[0].delay, follower.liars[1].dead = 0, True
        await follower.until(await orders(on_embedded, 1))
        assert follower.ledger.nodes.used == 0


async def test_two_nodes_with_two_final_blocks_stop_it_until_an_operator_says_which(
    on_embedded: Founded,
) -> None:
    url = on_embedded.settings.rpc[0]
    last = await orders(on_embedded, 1)
    async with following(on_embedded, url, url) as follower:
        await follower.until(last)
        before = follower.blocks
        follower.liars[1].lie = lambda method, _, result: (
            forged(result, extraData="0x66") if is_block(method, result, above=last) else result
        )
        await orders(on_embedded, 1)
        with pytest.raises(NodesDisagree) as found:
            await follower.take_in()
        heads = await look_at_heads(follower.ledger)
        follower.liars[1].dead = True
        with pytest.raises(NodesDisagree):
            await follower.take_in()
        disputed = await look_at_disputes(follower.store)
        assert follower.blocks == before

        right = await follower.ledger.block(int(str(found.value.fields["block"])))
        assert right is not None
        follower.liars[1].dead = False
        await accept(follower.store, right.hash)
        await follower.until(await orders(on_embedded, 1))
        views = follower.ledger.nodes.views()

    fields = found.value.fields
    assert (fields["node"], fields["has"], fields["other"]) == (
        "node-1",
        right.hash.hex(),
        "node-2",
    )
    assert heads.ok is False
    assert f"final block {right.number} is not the same everywhere" in heads.text
    assert f"node-1: {right.hash.hex()}" in heads.text
    assert f"node-2: {fields['instead']}" in heads.text
    assert disputed is not None
    assert str(fields["instead"]) in disputed.text
    assert "mol follow accept" in disputed.todo
    assert follower.blocks[: len(before)] == before
    assert right in follower.blocks
    assert views[0].used
    assert not views[0].why


@pytest.mark.parametrize("back", [1, 2, 5, 10_000])
async def test_from_any_block_on_the_chain_is_taken_in_without_a_gap(
    on_embedded: Founded, back: int
) -> None:
    last = await orders(on_embedded, 2)
    url = on_embedded.settings.rpc[0]
    start = max(0, last - back)
    async with following(on_embedded, url, start=start) as follower:
        await follower.until(last)

    numbers = [block.number for block in follower.blocks]
    assert numbers == list(range(max(start, 1), numbers[-1] + 1))
    assert all(above.parent == below.hash for below, above in pairwise(follower.blocks))


async def test_a_new_block_costs_one_request_and_one_with_a_settled_order_three(
    on_embedded: Founded,
) -> None:
    url = on_embedded.settings.rpc[0]
    async with following(on_embedded, url) as follower:
        await follower.until(await orders(on_embedded, 1))
        node, costs = follower.liars[0], []
        ledger = on_embedded.ledger()
        try:
            content = on_embedded.content()
            proposed: list[Step] = [(on_embedded.builder, Propose((content,)))]
            steps = proposed + [
                (on_embedded.verdict(number), approve(content, number - 1)) for number in (1, 2, 3)
            ]
            for key, call in steps:
                receipt = await mined(ledger, await send(ledger, key, call))
                before, taken = node.requests, len(follower.blocks)
                await follower.follow.step()
                costs.append(node.requests - before)
                assert len(follower.blocks) == taken + 1 == receipt.block
            before = node.requests
            await follower.follow.step()
            costs.append(node.requests - before)
        finally:
            await ledger.close()

    # An event: its receipts. A settled order: its proof too. Nothing new: only whether there is.
    assert costs == [2, 2, 2, 3, 1]
    assert [proof.block for proof in follower.store._state.proofs.values()][-1] == receipt.block


async def says_nothing(socket: web.WebSocketResponse) -> None:
    await asyncio.sleep(60)
    await socket.close()


async def dies(socket: web.WebSocketResponse) -> None:
    await socket.close()


async def lies(socket: web.WebSocketResponse) -> None:
    """Tell of heads that are nowhere, as fast as it can for a while."""
    for number in range(10**9, 10**9 + 2000):
        fields = {"number": hex(number), "hash": "0x" + "66" * 32, "parentHash": "0x" + "67" * 32}
        told = {"subscription": "0x1", "result": {**fields, "timestamp": "0x1"}}
        await socket.send_json({"jsonrpc": "2.0", "method": "eth_subscription", "params": told})
    await asyncio.sleep(60)


@asynccontextmanager
async def socket_that(behaves: Behaviour | None) -> AsyncIterator[str]:
    """Serve a subscription that behaves so; an address where nobody listens, if None."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        asked = await socket.receive_json()
        if behaves is None:
            return socket
        if behaves is not says_nothing:
            await socket.send_json({"jsonrpc": "2.0", "id": asked["id"], "result": "0x1"})
        await behaves(socket)
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"ws://127.0.0.1:{runner.addresses[0][1]}/"
    if behaves is None:
        await runner.cleanup()
    try:
        yield url
    finally:
        await runner.cleanup()


@pytest.mark.parametrize("behaves", [says_nothing, dies, lies, None])
async def test_a_subscription_that_lies_dies_or_is_silent_makes_it_miss_nothing_and_believe_nothing(
    on_embedded: Founded, behaves: Behaviour | None
) -> None:
    url = on_embedded.settings.rpc[0]
    async with socket_that(behaves) as socket, following(on_embedded, url) as follower:
        follower.ledger.settings = replace(follower.ledger.settings, ws=(socket,), period=0.1)
        wake = Wake()

        async def hear() -> bool:
            async for _ in follower.ledger.heads():
                wake.ring()
            return True

        tasks = [
            asyncio.create_task(forever("heads", hear, Wake(), period=0)),
            asyncio.create_task(forever("follow", follower.follow.step, wake, period=0.5)),
        ]
        try:
            last = await orders(on_embedded, 2)
            async with asyncio.timeout(30):
                while not follower.blocks or follower.blocks[-1].number < last:  # noqa: ASYNC110  a loop of its own fills them
                    await asyncio.sleep(0.05)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    async with following(on_embedded, url) as honest:
        await honest.until(last)

    assert follower.blocks == honest.blocks
    assert told(follower.facts) == told(honest.facts)
