"""Stored transactions and real nodes: whatever the process did not live to write down, the chain tells."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ledger_service.chain.client import ChainLedger
from ledger_service.clock import SystemClock
from ledger_service.db.migrations import upgrade
from ledger_service.db.session import SqlStore, make_engine
from ledger_service.domain import calls
from ledger_service.domain.calls import Sent
from ledger_service.domain.order import order_id
from ledger_service.domain.records import Outgoing, TxState
from ledger_service.services.send import Ended, Sender, Wanted, purpose
from tests.peers.consortium import Founded, mined

SECONDS = 40


@dataclass
class House:
    """A database file, a chain, and a key that only this test uses."""

    founded: Founded
    store: SqlStore
    ledger: ChainLedger

    def sender(self) -> Sender:
        """Start a process anew."""
        return Sender(self.store, self.ledger, self.founded.builder, SystemClock())

    async def stored(self, sender: Sender, count: int = 1, orders: int = 1) -> list[Outgoing]:
        """Sign and store proposals, by one commit; nothing is sent."""
        await sender.ready()
        wanted = []
        for _ in range(count):
            contents = tuple(self.founded.content() for _ in range(orders))
            names = tuple(order_id(content, self.ledger.orders) for content in contents)
            wanted.append(Wanted(purpose(names), calls.Propose(contents), names))
        async with self.store.transaction() as rows:
            return await sender.store(rows, wanted)

    async def ended(self, sender: Sender, count: int) -> list[Ended]:
        """Look as the service does, each second, until so many have ended."""
        found: list[Ended] = []
        async with asyncio.timeout(SECONDS):
            first = True
            while len(found) < count:
                for ended in await sender.look(at_start=first):
                    async with self.store.transaction() as rows:
                        await rows.outgoing.end(ended.outgoing, ended.state, ended.reason)
                    found.append(ended)
                first = False
                await asyncio.sleep(0.2)
        return sorted(found, key=lambda item: item.outgoing.nonce)


@pytest.fixture
async def house(founded: Founded, tmp_path: Path) -> AsyncIterator[House]:
    engine = make_engine(f"sqlite+aiosqlite:///{tmp_path / 'ledger.db'}")
    await upgrade(engine)
    store = SqlStore(engine)
    ledger = founded.ledger()
    yield House(founded, store, ledger)
    await ledger.close()
    await store.close()


async def test_what_was_sent_by_a_process_that_died_before_it_noted_it_ends_mined(
    house: House,
) -> None:
    (outgoing,) = await house.stored(house.sender())
    await house.ledger.send(outgoing.raw)  # and here the process is gone

    (ended,) = await house.ended(house.sender(), 1)

    assert (ended.outgoing.hash, ended.state) == (outgoing.hash, TxState.MINED)
    assert (await house.ledger.word(outgoing.orders[0])).proposed_at


async def test_what_was_mined_before_the_next_process_came_ends_mined(house: House) -> None:
    (outgoing,) = await house.stored(house.sender())
    await house.ledger.send(outgoing.raw)
    await mined(house.ledger, outgoing.hash)
    assert await house.ledger.send(outgoing.raw) in {Sent.NONCE_USED, Sent.KNOWN}

    (ended,) = await house.ended(house.sender(), 1)

    assert ended.state is TxState.MINED


async def test_many_that_were_stored_by_one_commit_and_never_sent_are_all_mined_in_order(
    house: House,
) -> None:
    outgoing = await house.stored(house.sender(), count=30)

    ended = await house.ended(house.sender(), 30)

    assert [item.outgoing.hash for item in ended] == [item.hash for item in outgoing]
    assert {item.state for item in ended} == {TxState.MINED}
    words = [await house.ledger.word(item.orders[0]) for item in outgoing]
    assert all(word.proposed_at for word in words)


async def test_a_key_that_was_used_elsewhere_costs_the_one_transaction_whose_nonce_it_took(
    house: House,
) -> None:
    sender = house.sender()
    robbed, after = await house.stored(sender, count=2)
    key, content = house.founded.builder, house.founded.content()
    other = key.sign(house.ledger.prepare(calls.Propose((content,))), robbed.nonce)
    await house.ledger.send(other.raw)
    await mined(house.ledger, other.hash)

    await sender.broadcast([robbed, after])
    await mined(house.ledger, after.hash)
    (following,) = await house.stored(house.sender())
    await sender.broadcast([following])
    (ended, last) = await house.ended(sender, 2)

    assert following.nonce == after.nonce + 1
    assert [ended.state, last.state] == [TxState.MINED] * 2
    assert not (await house.ledger.word(robbed.orders[0])).proposed_at
    async with house.store.reading() as rows:
        (left,) = await rows.outgoing.unfinished(key.address)
    assert left.key == robbed.key  # believed lost only when it was not seen for a while


async def test_an_operator_cancels_what_waits_behind_a_gap_and_the_nonce_is_used_for_nothing(
    house: House,
) -> None:
    sender = house.sender()
    first, second = await house.stored(sender, count=2)
    await house.ledger.send(second.raw)  # it lies in the pool, behind what was never sent

    free = not any(fee for _, fee in house.ledger.settings.fees)
    outcome = await sender.cancel(second.nonce)
    await house.ledger.send(first.raw)
    one, two = await house.ended(sender, 2)

    assert one.state is TxState.MINED
    if outcome is Sent.UNDERPRICED:
        assert free  # where gas is free, nothing outbids what a pool has
        assert two.state is TxState.MINED
    else:
        assert (outcome, two.state) == (Sent.ACCEPTED, TxState.FAILED)
        assert two.reason == "Cancelled by an operator. Its nonce was used for nothing."
        assert not (await house.ledger.word(second.orders[0])).proposed_at
