"""What an anchor may believe: a node that is behind, and what another process wrote down before it."""

from __future__ import annotations

import pytest

from ledger_service.domain import errors
from ledger_service.domain.calls import Expire
from ledger_service.domain.lifecycle import Stage
from ledger_service.domain.records import TxState
from ledger_service.services.send import Wanted
from tests.unit.services.site import Site, World
from tests.unit.services.test_anchor import sealed, stage_of


async def test_a_node_that_is_behind_what_was_taken_in_fails_no_evidence() -> None:
    site = Site(World())
    ledger = site.world.ledger
    await ledger.mine_many(3)
    await site.take_in()
    (packed,) = await sealed(site, 1)
    known = dict(ledger.registry.current)
    ledger.fork(2)  # the only node that answers was wiped, and is before the registration
    ledger.registry.current.clear()

    with pytest.raises(errors.NodeUnreachable):
        await site.anchor.step()

    assert await stage_of(site, packed) == (Stage.SEALED, "")
    await ledger.mine_many(2)
    ledger.registry.current.update(known)
    assert await site.anchor.step()
    assert (await stage_of(site, packed))[0] is Stage.ANCHORING


async def test_what_a_node_said_before_another_that_is_behind_took_over_fails_no_evidence() -> None:
    site = Site(World())
    ledger = site.world.ledger
    await ledger.mine_many(3)
    await site.take_in()
    (packed,) = await sealed(site, 1)
    ask = ledger.current_version

    async def falls_back(asset: object) -> None:
        del asset
        ledger.fork(2)

    ledger.current_version = falls_back  # type: ignore[method-assign]
    with pytest.raises(errors.NodeUnreachable):
        await site.anchor.step()

    assert await stage_of(site, packed) == (Stage.SEALED, "")
    ledger.current_version = ask  # type: ignore[method-assign]
    await ledger.mine_many(2)
    assert await site.anchor.step()


async def test_a_judgement_that_comes_late_leaves_the_next_try_of_the_same_purpose_alone() -> None:
    site = Site(World())
    ledger = site.world.ledger
    order = await site.validate(site.world.gateway.pack())
    wanted = Wanted("expire:it", Expire(order.content), (order.id,))
    await site.anchor.reconcile()

    async def store() -> int:
        async with site.world.store.transaction() as rows:
            (item,) = await site.sender.store(rows, [wanted])
        await ledger.send(item.raw)
        await ledger.mine()
        return item.nonce

    await store()
    (judged,) = await site.sender.look()  # this process has judged it and not written it down
    other = Site(site.world)
    await other.anchor.reconcile()
    nonce = await store()

    await site.anchor._end([(judged, {})])

    async with site.world.store.reading() as rows:
        (waiting,) = await rows.outgoing.unfinished(site.sender.address)
    assert (waiting.nonce, waiting.state) == (nonce, TxState.STORED)
