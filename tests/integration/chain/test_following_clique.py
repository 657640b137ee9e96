"""Following four real Clique nodes: seals are checked, who lags is left, and votes change what is final."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest

from ledger_service.chain import nodes
from ledger_service.chain.keys import LocalSigner
from ledger_service.chain.settings import ChainSettings
from ledger_service.commands.node_view import look_at_heads
from ledger_service.domain.facts import Block
from tests.integration.chain.follower import Follower, following, forged, is_block, orders, told
from tests.peers.consortium import Founded, found
from tests.peers.geth import FUNDED, running_clique
from tests.peers.liar import honestly
from tests.peers.networks import RealNetwork
from tests.peers.rpc import rpc

pytestmark = [pytest.mark.clique, pytest.mark.xdist_group("clique-following")]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealNetwork]:
    """Return four signers of its own: they vote."""
    folder = tmp_path_factory.mktemp("clique-following") / "network"
    with running_clique(folder, signers=4, period=1) as running:
        yield running


@pytest.fixture(scope="module")
def founded(network: RealNetwork) -> Founded:
    settings = ChainSettings.load(network.folder / "network.json")
    return asyncio.run(found(settings, "following", funder=LocalSigner(FUNDED[2])))


async def caught_up(follower: Follower) -> Block:
    """Follow to what is final now."""
    while (await follower.follow.lag()) or await follower.cursor() is None:
        await follower.take_in()
        await asyncio.sleep(0.05)
    cursor = await follower.cursor()
    assert cursor is not None
    return cursor


async def test_a_block_that_no_signer_sealed_is_taken_from_another_node_and_stops_nothing(
    founded: Founded,
) -> None:
    last = await orders(founded, 1)
    one, two, *_ = founded.settings.rpc
    async with following(founded, one) as honest:
        await honest.until(last)
    async with following(founded, one, two) as follower:
        follower.liars[0].lie = lambda method, _, result: (
            forged(result, stateRoot="0x" + "66" * 32) if is_block(method, result) else result
        )
        await follower.until(last)
        views = follower.ledger.nodes.views()
        # Nor has who cannot seal a say against a block of the others.
        follower.liars[0].lie, follower.liars[1].lie = follower.liars[1].lie, follower.liars[0].lie
        for standing in follower.ledger.nodes.standings:
            standing.until, standing.lied = 0.0, False
        await follower.until(last + 3)
        later = follower.ledger.nodes.views()

    assert told(follower.facts)[: len(honest.facts)] == told(honest.facts)
    assert (views[0].used, bool(views[0].why)) == (False, True)
    assert (later[0].used, bool(later[1].why)) == (True, True)


async def test_a_node_that_stands_still_is_left_and_asked_again_when_it_has_caught_up(
    founded: Founded,
) -> None:
    one, two, *_ = founded.settings.rpc
    async with following(founded, one, two) as follower:
        stuck = await caught_up(follower)
        frozen: dict[str, Any] = rpc(one, "eth_getBlockByNumber", "latest", False)
        follower.liars[0].lie = lambda method, asked, result: (
            frozen
            if method == "eth_getBlockByNumber" and asked[0] == "latest"
            else None
            if is_block(method, result, int(frozen["number"], 16))
            else result
        )
        await follower.until(stuck.number + nodes.BEHIND_BLOCKS + 8)
        (view, other) = follower.ledger.nodes.views()
        assert (view.used, view.why, other.used) == (False, "behind the others", True)
        finding = await look_at_heads(follower.ledger)
        assert (finding.ok, finding.text.count("(behind the others)")) == (False, 1)
        assert finding.text.startswith(f"node-1 {int(frozen['number'], 16)} (behind")

        follower.liars[0].lie = honestly
        async with asyncio.timeout(20):
            while follower.ledger.nodes.used:
                await follower.take_in()
                await asyncio.sleep(0.2)
        (view, _) = follower.ledger.nodes.views()
        assert (view.used, view.why) == (True, "")


async def vote(network: RealNetwork, voters: list[int], who: str, *, add: bool) -> int:
    """Let signers vote; wait until it is decided; return the height by then."""
    urls = network.urls
    wanted = len(rpc(urls[0], "clique_getSigners")) + (1 if add else -1)
    for voter in voters:
        rpc(urls[voter], "clique_propose", who, add)
    async with asyncio.timeout(60):
        while len(rpc(urls[0], "clique_getSigners")) != wanted:  # noqa: ASYNC110  seconds apart
            await asyncio.sleep(0.2)
    for voter in voters:
        rpc(urls[voter], "clique_discard", who)
    return int(rpc(urls[0], "eth_blockNumber"), 16)


async def test_what_is_final_follows_the_signers_as_votes_change_them(
    founded: Founded, network: RealNetwork
) -> None:
    fourth = rpc(network.urls[3], "eth_coinbase")
    start = int(rpc(network.urls[0], "eth_blockNumber"), 16)
    async with following(founded, network.urls[0]) as follower:
        depths = []
        await follower.until(start)
        depths.append(follower.ledger.finality_depth)
        await follower.until(await vote(network, [0, 1, 2], fourth, add=False))
        depths.append(follower.ledger.finality_depth)
        await follower.until(await vote(network, [0, 1], fourth, add=True))
        depths.append(follower.ledger.finality_depth)
        cursor, head = await follower.cursor(), await follower.ledger.head()
        late = await follower.follow.lag()
    async with following(founded, network.urls[0], start=start, finality_depth=0) as told_so:
        await told_so.until(start)
        assert told_so.ledger.finality_depth == 0
    # From the middle, and at once over both changes: the same.
    async with following(founded, network.urls[1], start=start) as again:
        assert cursor is not None
        await again.until(cursor.number)
        depths.append(again.ledger.finality_depth)

    assert depths == [3, 2, 3, 3]
    assert head.number - cursor.number <= 3 + late + 1
    ours = {block.number: block for block in follower.blocks}
    assert all(ours[it.number] == it for it in again.blocks if it.number in ours)
