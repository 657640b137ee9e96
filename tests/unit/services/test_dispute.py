from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.domain.facts import Block, Rival
from ledger_service.domain.lifecycle import Status
from ledger_service.services.dispute import accept, stop_for
from tests.unit.services.site import Site, World
from tests.unit.services.test_follow import cursor, open_order


@pytest.fixture
def site() -> Site:
    return Site(World())


async def test_blocks_of_which_nodes_have_two_are_not_taken_in_until_an_operator_says_which(
    site: Site,
) -> None:
    await site.take_in()
    before, ledger = await cursor(site), site.world.ledger
    block = await ledger.mine_many(3)
    ledger.rivals[block.number] = replace(block, hash=ids.BlockHash(b"\x66" * 32))

    with pytest.raises(NodesDisagree) as found:
        await site.follow.step()
    ledger.rivals.clear()
    for _ in range(2):
        with pytest.raises(NodesDisagree):
            await Site(site.world).follow.step()
    with pytest.raises(errors.NotFound):
        await accept(site.world.store, ids.BlockHash(b"\x67" * 32))

    assert found.value.fields == {
        "block": block.number,
        "node": "memory",
        "has": block.hash.hex(),
        "other": "another",
        "instead": "66" * 32,
    }
    assert await cursor(site) == before
    settled = await accept(site.world.store, block.hash)
    await site.take_in()
    assert (settled.number, settled.accepted) == (block.number, block.hash)
    assert await cursor(site) == block.number
    assert ledger.agreed == (block.number, block.hash)


async def test_a_rewrite_that_another_node_does_not_share_is_a_disagreement(site: Site) -> None:
    _, order = await open_order(site)
    await site.world.approve(order)
    await site.world.ledger.mine()
    await site.take_in()
    ledger = site.world.ledger
    held = await ledger.head()
    ledger.fork(1)
    await ledger.mine([])
    ledger.rivals[held.number] = held
    await ledger.mine([])

    with pytest.raises(NodesDisagree):
        await site.follow.step()
    assert (await site.track.order(order.id)).order.status is Status.VALIDATED

    there = await ledger.block(held.number)
    assert there is not None
    await accept(site.world.store, there.hash)
    await site.follow.step()
    await site.take_in()
    assert (await site.track.order(order.id)).order.status is Status.PROPOSED
    assert await cursor(site) == held.number + 1


async def test_where_final_blocks_are_never_taken_back_a_rewrite_needs_an_operators_word(
    site: Site,
) -> None:
    ledger = site.world.ledger
    ledger.rewritable = False
    held = await ledger.mine()
    await site.take_in()
    ledger.fork(1)
    there = await ledger.mine()
    await ledger.mine()

    with pytest.raises(NodesDisagree):
        await site.follow.step()
    assert await cursor(site) == held.number
    await accept(site.world.store, there.hash)
    await site.follow.step()
    await site.take_in()

    assert await cursor(site) == there.number + 1
    ledger.fork(1)
    await ledger.mine_many(2)
    with pytest.raises(NodesDisagree):  # one word is for one block
        await site.follow.step()


async def objected(site: Site, ours: Block, theirs: Block, wanted: Block) -> None:
    """Let another node have another block than ours, on the way to `wanted`."""
    world, rival = site.world, Rival(ours, "memory", theirs, "another")
    await stop_for(rival, wanted.hash, world.store, world.clock)


async def test_who_accepts_a_block_accepts_what_lies_below_it_where_the_fork_began_lower(
    site: Site,
) -> None:
    ledger = site.world.ledger
    ledger.rewritable = False
    await ledger.mine()
    await site.take_in()
    above = await ledger.mine()  # the fork began a block lower, and is seen first here
    ledger.fork(2)
    await ledger.mine()
    accepted = await ledger.mine()
    head = await ledger.mine()
    with pytest.raises(NodesDisagree):
        await objected(site, above, accepted, above)

    await accept(site.world.store, accepted.hash)
    await site.follow.step()
    await site.take_in()

    assert await cursor(site) == head.number
    async with site.world.store.reading() as rows:
        assert await rows.chain.cursor() == head


async def test_a_word_about_a_higher_block_takes_nothing_from_one_about_a_lower(site: Site) -> None:
    ledger = site.world.ledger
    ledger.rewritable = False
    high = await ledger.mine_many(9)
    ledger.fork(8)
    await ledger.mine()
    await site.take_in()
    with pytest.raises(NodesDisagree):
        await objected(site, high, replace(high, hash=ids.BlockHash(b"\x66" * 32)), high)
    await accept(site.world.store, high.hash)
    ledger.fork(1)
    there = await ledger.mine()
    head = await ledger.mine()
    with pytest.raises(NodesDisagree):
        await site.follow.step()

    await accept(site.world.store, there.hash)
    await site.follow.step()
    await site.take_in()

    async with site.world.store.reading() as rows:
        assert await rows.chain.cursor() == head


async def test_a_block_that_an_operator_did_not_accept_is_not_taken_in(site: Site) -> None:
    ledger = site.world.ledger
    await site.take_in()
    ours, before = await ledger.mine(), await cursor(site)
    theirs = replace(ours, hash=ids.BlockHash(b"\x66" * 32))
    with pytest.raises(NodesDisagree):
        await objected(site, ours, theirs, ours)
    await accept(site.world.store, theirs.hash)
    ledger.rivals[ours.number] = theirs

    with pytest.raises(errors.WrongChain):
        await site.follow.step()
    assert await cursor(site) == before
    await objected(site, ours, theirs, theirs)
