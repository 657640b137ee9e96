"""When a transaction is believed to be lost to another one of its nonce."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Expire, Propose, Receipt
from ledger_service.services.send import PATIENCE, Wanted, using_up
from ledger_service.testing import MemorySigner
from tests.unit.services.site import BUILDER, Site, World
from tests.unit.services.test_send import anchored, stored_all


@pytest.fixture
def site() -> Site:
    return Site(World())


async def test_a_second_try_of_a_purpose_is_given_its_own_time_before_it_is_lost(
    site: Site,
) -> None:
    packed = await anchored(site)
    order = (await site.track.evidence(packed.id)).orders[0]
    await site.world.ledger.mine()
    await site.anchor.reconcile()

    async def taken_by_another() -> None:
        async with site.world.store.transaction() as rows:
            wanted = Wanted("expire:it", Expire(order.content), (order.id,))
            (item,) = await site.sender.store(rows, [wanted])
        other = using_up(site.world.ledger.prepare(Propose(())), site.sender.address)
        await site.world.ledger.send(MemorySigner(BUILDER).sign(other, item.nonce).raw)
        await site.world.ledger.mine()

    for _ in range(2):
        await taken_by_another()
        await site.anchor.reconcile()
        assert len(await stored_all(site)) == 1
        site.world.clock.advance(seconds=31)
        await site.anchor.reconcile()
        assert await stored_all(site) == []


async def test_one_whose_nonce_was_taken_by_another_holds_up_no_end_of_those_beside_it(
    site: Site,
) -> None:
    first, lost, last = [await anchored(site) for _ in range(3)]
    taken = (await stored_all(site))[1]
    site.world.ledger.drop(taken.hash)
    other = using_up(site.world.ledger.prepare(Propose(())), site.sender.address)
    await site.world.ledger.send(MemorySigner(BUILDER).sign(other, taken.nonce).raw)
    await site.world.ledger.mine()

    await site.anchor.reconcile()

    assert [item.nonce for item in await stored_all(site)] == [taken.nonce]
    await site.take_in()
    for packed, state in ((first, "Proposed"), (lost, "Anchoring"), (last, "Proposed")):
        assert (await site.track.evidence(packed.id)).state == state


async def test_while_a_node_has_no_word_on_receipts_nothing_is_lost_and_sending_goes_on(
    site: Site,
) -> None:
    await anchored(site)
    await site.world.ledger.mine()
    await anchored(site)
    site.world.ledger.drop()
    receipts = site.world.ledger.receipts

    async def indexing(transactions: Sequence[ids.TxHash]) -> list[Receipt | None]:
        raise errors.ChainError(found=len(transactions))

    site.world.ledger.receipts = indexing  # type: ignore[method-assign]
    for _ in range(2):
        site.world.clock.advance(seconds=40)
        with pytest.raises(errors.ChainError):
            await site.anchor.reconcile()
    assert len(site.world.ledger.pending) == 1
    assert len(await stored_all(site)) == 2

    site.world.ledger.receipts = receipts  # type: ignore[method-assign]
    await site.anchor.reconcile()
    assert [item.nonce for item in await stored_all(site)] == [1]


async def test_a_gap_of_many_nonces_is_closed_with_one_patience(site: Site) -> None:
    elsewhere = MemorySigner(BUILDER)
    used = using_up(site.world.ledger.prepare(Propose(())), elsewhere.address)
    for nonce in range(6):
        await site.world.ledger.send(elsewhere.sign(used, nonce).raw)
    await site.world.ledger.mine()
    packed = await anchored(site)
    site.world.ledger.fork(1, forget=True)  # what the key did elsewhere is gone
    began = site.world.clock.now()

    for _ in range(40):
        site.world.clock.advance(seconds=10)
        await site.anchor.reconcile()
        await site.world.ledger.mine()

    assert await stored_all(site) == []
    assert site.world.clock.now() - began < 2 * PATIENCE
    await site.take_in()
    assert (await site.track.evidence(packed.id)).state == "Proposed"
