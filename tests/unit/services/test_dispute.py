from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.chain_errors import NodesDisagree
from ledger_service.domain.lifecycle import Status
from ledger_service.services.dispute import accept
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
