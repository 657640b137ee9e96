from __future__ import annotations

from dataclasses import replace

import pytest
import rlp

from ledger_service.domain import errors, seals
from ledger_service.domain.headers import Header
from tests.unit.domain.recorded import ALL, QBFT, Recording, Seen, load


@pytest.fixture(scope="module", params=ALL)
def network(request: pytest.FixtureRequest) -> Recording:
    return load(request.param)


@pytest.fixture(scope="module", params=QBFT)
def qbft(request: pytest.FixtureRequest) -> Recording:
    return load(request.param)


@pytest.fixture(scope="module")
def clique() -> Recording:
    return load("geth-clique")


def sealed(network: Recording) -> list[Seen]:
    return [item for item in network.seen.values() if item.header.number > 0]


def test_every_header_has_the_hash_that_its_node_says(network: Recording) -> None:
    clique = network.kind == "geth-clique"
    for item in network.seen.values():
        found = item.header.keccak() if clique else seals.qbft_hash(item.header)
        assert found == item.hash, item.header.number

    chain = network.by_number
    assert all(chain[n].header.parent == chain[n - 1].hash for n in range(1, max(chain) + 1))
    assert len(chain) > 60


def test_every_block_was_sealed_by_those_whom_genesis_and_votes_name(network: Recording) -> None:
    check = seals.check_clique if network.kind == "geth-clique" else seals.check_qbft
    sets = network.validators()

    assert len(set(sets.values())) == 2  # one was voted out, and in again
    for item in sealed(network):
        assert check(item.header, sets[item.header.number]) == item.hash


def test_one_block_has_several_seal_sets_and_one_hash(qbft: Recording) -> None:
    sets = qbft.validators()
    rounds = {seals.qbft_extra(item.header).round for item in sealed(qbft)}

    assert len(qbft.seen) > len({item.hash for item in qbft.seen.values()})
    assert len(rounds) > 1
    for item in sealed(qbft):
        extra = seals.qbft_extra(item.header)
        assert set(extra.validators) == set(sets[item.header.number])


def with_seals(header: Header, change: list[bytes]) -> Header:
    parts = list(rlp.decode(header.extra))
    return header.with_extra(rlp.encode([*parts[:4], change]))


def test_seals_that_are_missing_repeated_or_strange_are_refused(qbft: Recording) -> None:
    sets, block = qbft.validators(), qbft.by_number[10]
    present = sets[10]
    good, other = seals.qbft_extra(block.header).seals, seals.qbft_extra(qbft.by_number[11].header)
    needed = seals.qbft_quorum(len(present))

    with pytest.raises(errors.BadProof, match=f"Too few seals.*found 2, expected {needed}"):
        seals.check_qbft(with_seals(block.header, [*good[:2]]), present)
    with pytest.raises(errors.BadProof, match="twice"):
        seals.check_qbft(with_seals(block.header, [*good[:2], good[0]]), present)
    with pytest.raises(errors.BadProof, match="outside"):
        seals.check_qbft(with_seals(block.header, [*good[:2], other.seals[0]]), present)
    with pytest.raises(errors.BadProof, match="Not a seal"):
        seals.check_qbft(with_seals(block.header, [*good[:2], good[2][:-1]]), present)
    with pytest.raises(errors.BadProof, match="outside"):
        seals.check_qbft(block.header, present - {seals.qbft_committers(block.header)[0]})
    with pytest.raises(errors.BadProof, match="No validators"):
        seals.check_qbft(with_seals(block.header, []), [])


def test_no_field_of_a_header_can_be_changed_under_its_seals(network: Recording) -> None:
    present = network.validators()[20]
    check = seals.check_clique if network.kind == "geth-clique" else seals.check_qbft
    header = network.by_number[20].header
    for place, value in enumerate(header.fields):
        if place == 12:  # extraData has its own test
            continue
        changed = bytes([value[0] ^ 1]) + value[1:] if value else b"\1"
        fields = (*header.fields[:place], changed, *header.fields[place + 1 :])
        with pytest.raises(errors.BadProof):
            check(replace(header, fields=fields), present)


def test_round_vote_and_list_of_a_header_stand_under_its_seals(qbft: Recording) -> None:
    present, header = qbft.validators()[20], qbft.by_number[20].header
    vanity, listed, vote, number, good = rlp.decode(header.extra)
    author = next(iter(present))
    for parts in (
        [b"\1" * 32, listed, vote, number, good],
        [vanity, listed[:-1], vote, number, good],
        [vanity, listed, [author, b"\xff"], number, good],
        [vanity, listed, vote, b"\7", good],
    ):
        with pytest.raises(errors.BadProof):
            seals.check_qbft(header.with_extra(rlp.encode(parts)), present)


def test_a_clique_seal_is_one_signers(clique: Recording) -> None:
    header, present = clique.by_number[20].header, clique.validators()[20]
    signer = seals.clique_signer(header)

    with pytest.raises(errors.BadProof, match="outside the signers"):
        seals.check_clique(header, present - {signer})
    for spoiled in (header.extra[:-1], header.extra[:40], b"", header.extra[:-1] + b"\x1e"):
        with pytest.raises(errors.BadProof):
            seals.check_clique(header.with_extra(spoiled), present)
    assert len(seals.clique_signers(clique.by_number[0].header)) == 4
    for extra in (b"", bytes(97), bytes(98), bytes(60)):
        with pytest.raises(errors.BadProof, match="list of signers"):
            seals.clique_signers(header.with_extra(extra))
