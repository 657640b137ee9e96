"""A real fork: one of four signers is cut off and seals a block of its own, an order in it.

The service sees the chain through that node alone, so that its transaction is in no other pool.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from ledger_service.demo.site import Site
from tests.acceptance.chaos.load import Load, Piece
from tests.acceptance.chaos.stack import Shape, Stack, running
from tests.acceptance.chaos.verdict import judge
from tests.peers.rpc import rpc
from tests.peers.wires import Wires, laid
from validators.network.files import Network
from validators.network.geth_build import cached_geth

NAMES = ("node-1", "node-2", "node-3", "node-4")
LONELY = "node-4"
PATIENCE_SECONDS = 90.0
FOLLOW_SECONDS = 200.0
#: A signer may sign once in so many blocks of four signers' chain.
LIMIT = 3


class Split:
    """A plant whose wires can be cut."""

    def __init__(self, stack: Stack, wires: Wires) -> None:
        self.stack = stack
        self._wires = wires
        self._urls = {node.name: node.rpc for node in Network.load(stack.site.chain).nodes}

    def ask(self, name: str, method: str, *words: object) -> object:
        return rpc(self._urls[name], method, *words)

    def height(self, name: str) -> int:
        return int(str(self.ask(name, "eth_blockNumber")), 16)

    def block(self, name: str, number: int) -> str:
        found = self.ask(name, "eth_getBlockByNumber", hex(number), False)
        return str(found["hash"]) if isinstance(found, dict) else ""

    async def part(self) -> int:
        """Cut the lonely one off when it may sign the next block; return the common height."""
        self.ask(LONELY, "miner_stop")
        silent_from = self.height(LONELY)
        await until(lambda: self.height(LONELY) >= silent_from + LIMIT)
        self._wires.cut([LONELY])
        return self.height(LONELY)

    async def seal_alone(self, common: int) -> str:
        """Let it seal what its pool holds, on a chain of its own; return the block's hash."""
        await until(lambda: self.pool() > 0)
        self.ask(LONELY, "miner_start")
        await until(lambda: self.height(LONELY) > common)
        found = self.block(LONELY, common + 1)
        # Heavier whoever's turn it was: geth takes the shorter of two chains of one difficulty.
        await until(lambda: self.height("node-1") > common + LIMIT)
        assert self.block("node-1", common + 1) != found
        return found

    def pool(self) -> int:
        status = self.ask(LONELY, "txpool_status")
        return int(status["pending"], 16) if isinstance(status, dict) else 0

    async def heal(self, common: int) -> None:
        """Mend the wires; return when the lonely one has given up its block."""
        self._wires.mend()
        await until(lambda: self.block(LONELY, common + 1) == self.block("node-1", common + 1))


async def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        if time.monotonic() > deadline:
            pytest.fail("it does not happen")
        await asyncio.sleep(0.1)


def prepared(wires: Wires, depth: int | None) -> Callable[[Site, Network], None]:
    """Lead the peers through wires, and give the service one node and its finality."""

    def prepare(site: Site, network: Network) -> None:
        wires.plug(site.chain)
        nodes = tuple(node for node in network.nodes if node.name == LONELY)
        kept = network.finality_depth if depth is None else depth
        own = replace(network, nodes=nodes, finality_depth=kept)
        (site.root / "own").mkdir()
        own.save(site.root / "own")

    return prepare


def hops(piece: Piece) -> list[str]:
    return [hop["name"] for hop in piece.tracker["hops"]]


@pytest.mark.clique
@pytest.mark.timeout(500)
@pytest.mark.parametrize("depth", [0, None], ids=["no depth", "depth as shipped"])
async def test_an_order_in_an_abandoned_block_is_proposed_again_and_approved_by_all_once(
    tmp_path: Path, depth: int | None
) -> None:
    if not cached_geth().exists() and shutil.which("go") is None:
        pytest.skip("geth 1.13.15 is not built and Go is not there to build it")
    environment = {"MOL_CHAIN__NETWORK": str(tmp_path / "own/network.json")}
    async with laid(NAMES) as wires:
        shape = Shape("clique", orders=2, environment=environment)
        shape = replace(shape, before_start=prepared(wires, depth))
        async with running(tmp_path, shape) as stack, Load(stack) as load:
            split = Split(stack, wires)
            before, forked = stack.claims
            await load.until(await load.post(before), "Validated", seconds=PATIENCE_SECONDS)

            common = await split.part()
            piece = await load.post(forked)
            abandoned = await split.seal_alone(common)
            if depth == 0:  # taken in from a node that is alone, which is what finality is against
                await load.until(piece, "Proposed", seconds=PATIENCE_SECONDS)
            await split.heal(common)
            assert split.block(LONELY, common + 1) != abandoned

            await load.follow(seconds=FOLLOW_SECONDS)
            verdict = await judge(stack, load.pieces)

    assert verdict.clean, verdict
    assert verdict.figures["orders"] == 2
    # With finality as it is shipped, the block was never taken in.
    assert ("chain rewritten" in hops(piece)) == (depth == 0)
