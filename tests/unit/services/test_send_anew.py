"""What is signed again at a nonce: the same call, at what fees, and what fills a nonce of nobody."""

from __future__ import annotations

import pytest

from ledger_service.domain import ids
from ledger_service.domain.calls import Propose, Sent, Unsigned
from ledger_service.services.send import raised, using_up
from ledger_service.testing import MemorySigner
from ledger_service.testing.signer import decode
from tests.unit.services.site import BUILDER, Site, World
from tests.unit.services.test_send import anchored, look_for, stored


@pytest.fixture
def site() -> Site:
    return Site(World())


@pytest.mark.parametrize(("verb", "state"), [("withdraw", "Withdrawn"), ("expire", "Expired")])
async def test_the_end_of_an_order_that_is_underpriced_is_the_same_end_at_the_fees_of_now(
    site: Site, verb: str, state: str
) -> None:
    packed = site.world.gateway.pack()
    await site.post(packed)
    order = await site.propose(packed)
    await site.anchor.reconcile()
    site.world.ledger.least_price = 7
    if verb == "withdraw":
        await site.close.withdraw(order.id)
    else:
        site.world.clock.advance(hours=49)
        assert await site.close.expire_overdue()
    assert site.world.ledger.pending == []

    site.world.ledger.price = 7
    await look_for(site, 7)
    await site.world.ledger.mine()
    await site.take_in()

    assert (await site.track.evidence(packed.id)).state == state


def test_a_replacement_is_a_quarter_dearer_each_time_to_the_last_unit_and_free_gas_stays_free() -> (
    None
):
    fee = 2**70 + 1  # more digits than a float has
    unsigned = Unsigned(1, ids.Address(bytes(20)), b"", 1, (("most", fee), ("tip", 1), ("free", 0)))

    assert raised(unsigned, 1).fees == (("most", -(-fee * 5 // 4)), ("tip", 2), ("free", 0))
    assert raised(unsigned, 3).fees == (("most", -(-fee * 125 // 64)), ("tip", 2), ("free", 0))


def test_what_only_uses_a_nonce_up_moves_nothing_to_its_own_key_at_the_same_fees() -> None:
    fees, key = (("gasPrice", 3),), ids.Address(b"\1" * 20)
    call = Unsigned(1, ids.Address(bytes(20)), b"call", 90_000, fees, value=5)

    assert using_up(call, key) == Unsigned(1, key, b"", 21_000, fees, value=0)


async def test_an_operator_who_cancels_pays_a_quarter_more_than_what_is_asked_now(
    site: Site,
) -> None:
    site.world.ledger.price = 4
    await anchored(site)

    site.world.ledger.answers.append(Sent.UNDERPRICED)
    await site.sender.cancel(0)
    assert decode((await stored(site)).raw).price == 5
    await site.sender.cancel(0)
    assert decode((await stored(site)).raw).price == 7


async def test_a_nonce_of_nobody_between_ours_is_used_for_nothing(site: Site) -> None:
    ledger, elsewhere = site.world.ledger, MemorySigner(BUILDER)
    await anchored(site)
    await ledger.mine()
    await site.anchor.reconcile()
    used = using_up(ledger.prepare(Propose(())), elsewhere.address)
    await ledger.send(elsewhere.sign(used, 1).raw)
    await ledger.mine()
    packed = await anchored(Site(site.world))  # asks the chain anew
    assert (await stored(site)).nonce == 2
    ledger.fork(1, forget=True)

    await look_for(site, 7)
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"


async def test_a_nonce_whose_transaction_came_to_nothing_and_was_given_back_is_used_for_nothing(
    site: Site,
) -> None:
    ledger = site.world.ledger
    await anchored(site)
    ledger.drop()
    assert await site.sender.cancel(0) is Sent.ACCEPTED
    await ledger.mine()
    await site.anchor.reconcile()
    packed = await anchored(site)
    assert (await stored(site)).nonce == 1
    ledger.fork(1, forget=True)

    await look_for(site, 7)
    await site.run_to_the_end()

    assert (await site.track.evidence(packed.id)).state == "Validated"
