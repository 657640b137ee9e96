"""Four real nodes: so many down that the chain halts. Nothing is lost, and all goes on by itself."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.acceptance.chaos.load import Load
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import judge
from tests.acceptance.demos import node_or_skip
from tests.peers.rpc import rpc
from validators.network.files import Kind, Network

KILLED, FROZEN = "node-2", "node-4"
QUIET_SECONDS = 5.0
FOLLOW_SECONDS = 200.0
ONE_TEXT = "down: node-2; the chain needs 3 of its 4 validators and goes on"
TEXT = (
    "down: node-2, node-4; the chain needs 3 of its 4 validators"
    " and stands still: 1 more must come up"
)


@pytest.fixture(params=[pytest.param("clique", marks=pytest.mark.clique), "qbft"])
async def kind(request: pytest.FixtureRequest) -> Kind:
    """A kind of network whose program is here."""
    wanted: Kind = request.param
    await node_or_skip(wanted)
    return wanted


def height(stack: Stack, name: str) -> int:
    (node,) = (item for item in Network.load(stack.site.chain).nodes if item.name == name)
    return int(rpc(node.rpc, "eth_blockNumber"), 16)


async def halted(stack: Stack) -> int:
    """Wait until the chain stands still; return its height."""
    before = -1
    while (now := height(stack, "node-1")) != before:
        before = now
        await asyncio.sleep(QUIET_SECONDS)
    return before


async def ready(stack: Stack) -> dict[str, Any]:
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(f"{stack.urls[0]}/health/ready")
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


@pytest.mark.timeout(500)
async def test_a_chain_that_halts_loses_nothing_is_explained_and_goes_on_when_its_nodes_are_back(
    tmp_path: Path, kind: Kind
) -> None:
    async with running(tmp_path, Shape(kind, orders=4)) as stack, Load(stack) as load:
        before, between, in_halt, late = stack.claims
        await load.post(before)
        assert (await ready(stack))["nodes"]["text"] == "all 4 answer"

        frozen = ("follow-1", "agent-manufacturer")
        for name in frozen:
            stack.signal(name, signal.SIGSTOP)
        await load.post(between)
        await stack.kill_node(KILLED)
        assert (await ready(stack))["nodes"]["text"] == ONE_TEXT
        stack.signal(FROZEN, signal.SIGSTOP)
        stood_at = await halted(stack)
        for name in frozen:
            stack.signal(name, signal.SIGCONT)
        await load.post(in_halt)

        await check_explained(stack)
        assert height(stack, "node-1") == stood_at

        stack.signal(FROZEN, signal.SIGCONT)
        await stack.start_nodes()
        await load.post(late)
        await load.follow(seconds=FOLLOW_SECONDS)
        verdict = await judge(stack, load.pieces)

    assert verdict.clean, verdict
    assert verdict.figures["orders"] == len(load.pieces) == 4


async def check_explained(stack: Stack) -> None:
    """Doctor and API name the nodes that are missing, and how many are needed."""
    found, health = await stack.doctor(), await ready(stack)
    assert found["nodes"] == {
        "name": "nodes",
        "ok": False,
        "text": TEXT,
        "todo": "start node-2, node-4; then all goes on by itself",
    }
    assert health["nodes"]["text"] == TEXT
    assert (health["nodes"]["needed"], health["nodes"]["short"]) == (3, 1)
