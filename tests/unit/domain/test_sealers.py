from __future__ import annotations

import random

import pytest

from ledger_service.domain import errors, sealers, seals
from ledger_service.domain.ids import Address
from ledger_service.domain.sealers import Cast, Sealers
from ledger_service.domain.seals import Vote
from tests.unit.domain.recorded import ALL, load


def who(number: int) -> Address:
    return Address(bytes([number]) * 20)


def sealing(count: int) -> Sealers:
    return Sealers(frozenset(who(number) for number in range(1, count + 1)))


@pytest.mark.parametrize(
    ("count", "depth"), [(1, 1), (2, 2), (3, 2), (4, 3), (5, 3), (6, 4), (7, 4)]
)
def test_a_block_is_final_when_more_than_half_of_the_signers_built_on_it(
    count: int, depth: int
) -> None:
    assert sealing(count).depth == depth


@pytest.mark.parametrize("kind", ALL)
def test_who_seals_each_recorded_block_is_whom_genesis_and_votes_name(kind: str) -> None:
    network, name = load(kind), "clique" if kind == "geth-clique" else "qbft"
    wanted = network.validators()
    found = sealers.of_epoch(name, network.by_number[0].header)
    sizes = set()
    for number in range(1, max(network.by_number) + 1):
        assert found.members == wanted[number]
        found = sealers.check(name, found, network.by_number[number].header)
        sizes.add(len(found.members))

    assert len(sizes) == 2


def test_a_signer_seals_one_of_so_many_blocks_as_make_one_final() -> None:
    network = load("geth-clique")
    found = sealers.of_epoch("clique", network.by_number[0].header)
    for number in range(1, 10):
        found = sealers.check("clique", found, network.by_number[number].header)
    tenth = network.by_number[10].header
    signer = seals.clique_signer(tenth)
    for ago in range(1, found.depth):
        again = Sealers(found.members, recent=((10 - ago, signer),))
        with pytest.raises(errors.BadProof, match="just below"):
            sealers.check("clique", again, tenth)
    allowed = Sealers(found.members, recent=((10 - found.depth, signer),))
    assert sealers.check("clique", allowed, tenth).members == found.members


def test_more_than_half_decide_and_what_was_said_of_the_decided_is_forgotten() -> None:
    add = Vote(who(9), add=True)
    one = sealing(4).after(1, who(1), add, 100)
    two = one.after(2, who(2), add, 100).after(3, who(2), add, 100)
    other = two.after(4, who(3), Vote(who(1), add=False), 100)
    three = other.after(5, who(3), add, 100)

    assert len(one.members) == len(two.members) == len(other.members) == 4
    assert three.members == sealing(4).members | {who(9)}
    assert three.votes == (Cast(who(3), Vote(who(1), add=False)),)


def test_who_is_voted_out_takes_its_votes_along() -> None:
    drop = Vote(who(1), add=False)
    found = sealing(3).after(1, who(1), Vote(who(9), add=True), 100)
    found = found.after(2, who(2), drop, 100).after(3, who(3), drop, 100)

    assert (found.members, found.votes) == (frozenset({who(2), who(3)}), ())


def test_a_vote_that_is_taken_back_or_says_what_is_so_does_not_count() -> None:
    add, drop = Vote(who(9), add=True), Vote(who(9), add=False)
    found = sealing(4).after(1, who(1), add, 100).after(2, who(2), add, 100)
    found = found.after(3, who(2), drop, 100).after(4, who(3), add, 100)

    assert found.members == sealing(4).members
    assert {cast.voter for cast in found.votes} == {who(1), who(3)}


def test_votes_do_not_outlive_an_epoch() -> None:
    add = Vote(who(9), add=True)
    found = sealing(4).after(98, who(1), add, 100).after(99, who(2), add, 100)
    found = found.after(100, who(3), add, 100)
    assert found.votes == ()
    assert found.after(101, who(3), add, 100).members == sealing(4).members


def test_any_votes_change_one_member_at_a_time_and_never_without_more_than_half() -> None:
    seed = random.randrange(2**32)  # noqa: S311  no secret
    print("seed", seed)  # noqa: T201  to run it again
    chance = random.Random(seed)  # noqa: S311  no secret
    found = sealing(4)
    for number in range(1, 3000):
        voter = chance.choice(sorted(found.members))
        vote = Vote(who(chance.randint(1, 8)), add=chance.random() < 0.5)
        behind = {it.voter for it in found.votes if it.vote == vote} | {voter}
        later = found.after(number, voter, vote, 500)
        if changed := later.members ^ found.members:
            assert changed == {vote.candidate}
            assert 2 * len(behind) > len(found.members)
            assert all(it.vote.candidate != vote.candidate for it in later.votes)
        if not later.members:
            break
        assert {it.voter for it in later.votes} <= later.members | found.members
        found = later
