from __future__ import annotations

import pytest

from tests.peers.probe import Sender
from validators.network.embedded.blocks import Pending, decode
from validators.network.embedded.pool import Pool, Standing
from validators.network.embedded.rpc import RpcError
from validators.network.files import FREE, FeePolicy

TO = "0x" + "11" * 20
FRESH = Standing(chain_id=1, gas_limit=30_000_000, nonce=0, balance=10**20)


def signed(sender: Sender, nonce: int, payload: bytes = b"") -> Pending:
    sender.nonce = nonce
    return decode(bytes.fromhex(sender.sign(TO, payload)[2:]))


def test_nonces_of_one_sender_are_ready_in_order_whatever_came_first() -> None:
    pool, sender = Pool(), Sender(1, FREE)
    later, first, gap = (signed(sender, nonce) for nonce in (1, 0, 3))
    for pending in (later, gap, first):
        pool.add(pending, FRESH)

    assert list(pool.ready()) == [first, later]
    assert pool.next_nonce(first.sender, 0) == 2


def test_senders_are_served_in_order_of_arrival() -> None:
    pool, one, other = Pool(), Sender(1, FREE), Sender(1, FREE)
    a, b, c = signed(one, 0), signed(other, 0), signed(one, 1)
    for pending in (a, b, c):
        pool.add(pending, FRESH)

    assert list(pool.ready()) == [a, b, c]


def test_what_a_block_took_is_gone_and_its_nonce_is_too_low_from_then_on() -> None:
    pool, sender = Pool(), Sender(1, FREE)
    mined, next_one, rival = signed(sender, 0), signed(sender, 1), signed(sender, 0, b"x")
    pool.add(mined, FRESH)
    pool.add(next_one, FRESH)

    pool.settle([mined])

    assert list(pool.ready()) == [next_one]
    with pytest.raises(RpcError, match="nonce too low: next nonce 1, tx nonce 0"):
        pool.add(rival, FRESH)


def test_a_replacement_must_offer_a_tenth_more() -> None:
    pool = Pool()
    cheap, near, dear = (FeePolicy(2, True, None, fee, fee) for fee in (100, 109, 110))
    sender = Sender(1, cheap)
    old = signed(sender, 0)
    pool.add(old, FRESH)

    sender.fees = near
    with pytest.raises(RpcError, match="replacement transaction underpriced"):
        pool.add(signed(sender, 0), FRESH)
    sender.fees = dear
    new = signed(sender, 0)
    pool.add(new, FRESH)

    assert list(pool.ready()) == [new]
    assert pool.get(old.hash) is None


def test_who_cannot_pay_is_refused() -> None:
    sender = Sender(1, FeePolicy(2, True, None, 10**6, 1))
    poor = Standing(chain_id=1, gas_limit=30_000_000, nonce=0, balance=5)

    with pytest.raises(RpcError, match=r"^insufficient funds for gas \* price \+ value: balance 5"):
        Pool().add(signed(sender, 0), poor)
