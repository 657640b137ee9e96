from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from coincurve import PrivateKey
from eth_hash.auto import keccak

from ledger_service.chain.reading import Seen
from ledger_service.chain.sealing import Sealing
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain import errors
from ledger_service.domain.facts import Block
from ledger_service.domain.headers import Header
from ledger_service.domain.ids import Address, BlockHash
from ledger_service.domain.sealers import Sealers

FOUR = ChainSettings("clique", 1, ("http://one",), (), 3, 1, (), validators=4)


def sealing(count: int) -> Sealers:
    return Sealers(frozenset(Address(bytes([number]) * 20) for number in range(count)))


@pytest.mark.parametrize(("count", "depth"), [(3, 2), (4, 3), (5, 3), (6, 4), (9, 5)])
def test_under_clique_what_is_final_is_counted_by_those_who_seal(count: int, depth: int) -> None:
    assert Sealing(FOUR, b"").depth(sealing(count)) == depth
    assert Sealing(replace(FOUR, validators=0), b"").depth(sealing(count)) == depth


def test_a_depth_that_somebody_chose_and_one_of_other_networks_stay() -> None:
    chosen = Sealing(replace(FOUR, finality_depth=10), b"")
    qbft = Sealing(replace(FOUR, kind="qbft", finality_depth=0), b"")
    unchecked = Sealing(replace(FOUR, check_seals=False), b"")

    assert [it.depth(sealing(9)) for it in (chosen, qbft)] == [10, 0]
    assert unchecked.depth(None) == 3
    assert not unchecked.is_checked


async def test_without_seals_to_check_no_node_is_asked() -> None:
    async def fetch(first: int, last: int) -> list[object]:
        raise AssertionError((first, last))

    embedded = Sealing(replace(FOUR, kind="embedded"), b"")

    assert await embedded.above(7, b"", fetch) is None  # type: ignore[arg-type]  # nothing is read


EPOCH = 10


def address(key: PrivateKey) -> Address:
    return Address(keccak(key.public_key.format(compressed=False)[1:])[12:])


KEYS = sorted((PrivateKey(bytes([number]) * 32) for number in (1, 2, 3)), key=address)


def sealed(number: int, parent: bytes, *strangers: bytes) -> Seen:
    """Return a Clique block of three signers who take turns; blocks of an epoch list them."""
    signers = b"".join([*map(address, KEYS), *strangers])
    listed = signers if number % EPOCH == 0 else b""
    digest = b"\x11" * 32
    head = (parent, digest, bytes(20), digest, digest, digest, bytes(256), b"\2")
    height = number.to_bytes(2).lstrip(b"\0")
    fields = (*head, height, b"\1", b"", b"\1", bytes(32) + listed, bytes(32), bytes(8))
    header = Header(fields)
    seal = KEYS[number % 3].sign_recoverable(header.keccak(), hasher=None) if number else bytes(65)
    header = header.with_extra(header.extra + seal)
    name = BlockHash(header.keccak())
    return Seen(Block(number, name, BlockHash(parent), 1), header)


@dataclass
class Told:
    """A node with a chain of 36 blocks, and which of them it was asked for."""

    blocks: list[Seen] = field(default_factory=list)
    asked: list[tuple[int, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        parent = bytes(32)
        for number in range(36):
            self.blocks.append(sealed(number, parent))
            parent = self.blocks[-1].block.hash

    async def fetch(self, first: int, last: int) -> list[Seen]:
        self.asked.append((first, last))
        return self.blocks[first : last + 1]

    def name(self, number: int) -> BlockHash:
        return self.blocks[number].block.hash


async def test_who_seals_is_counted_from_the_last_epoch_to_the_very_block() -> None:
    node = Told()
    counting = Sealing(replace(FOUR, epoch=EPOCH), b"")

    found = await counting.above(25, node.name(25), node.fetch)

    assert found is not None
    assert found.members == set(map(address, KEYS))
    assert node.asked == [(20, 20), (21, 25)]
    node.asked.clear()
    assert await counting.above(25, node.name(25), node.fetch) == found
    assert node.asked == []
    later = await counting.above(28, node.name(28), node.fetch)
    assert later is not None
    assert node.asked == [(1, 28), (26, 28)]


async def test_a_chain_that_leads_elsewhere_or_begins_elsewhere_or_has_a_gap_is_refused() -> None:
    node, begun = Told(), Told().name(0)
    near, far = Sealing(replace(FOUR, epoch=EPOCH), b""), Sealing(FOUR, begun)
    with pytest.raises(errors.BadProof, match="does not lead"):
        await near.above(25, node.name(24), node.fetch)
    with pytest.raises(errors.BadProof, match="Another block 0"):
        await Sealing(FOUR, b"\x66" * 32).above(5, node.name(5), node.fetch)
    node.blocks[23] = node.blocks[22]
    with pytest.raises(errors.BadProof, match="child"):
        await near.above(25, node.name(25), node.fetch)
    assert await far.above(9, node.name(9), Told().fetch) is not None


async def test_blocks_are_held_against_the_seals_below_them_one_by_one() -> None:
    node = Told()
    counting = Sealing(FOUR, node.name(0))
    above = await counting.above(4, node.name(4), node.fetch)
    fifth = node.blocks[5]

    assert counting.check(above, fifth) is not None
    stranger = fifth.header.with_extra(fifth.header.extra[:-2] + bytes([1, 0]))
    with pytest.raises(errors.BadProof):
        counting.check(above, Seen(fifth.block, stranger))
    with pytest.raises(errors.BadProof, match="just below"):
        counting.check(counting.check(above, fifth), fifth)


async def test_a_list_of_signers_that_no_votes_made_is_not_taken_over() -> None:
    node = Told()
    counting = Sealing(replace(FOUR, epoch=EPOCH), b"")
    above = await counting.above(19, node.name(19), node.fetch)

    assert counting.check(above, sealed(20, node.name(19))) is not None
    with pytest.raises(errors.BadProof, match="other signers"):
        counting.check(above, sealed(20, node.name(19), b"\x66" * 20))
