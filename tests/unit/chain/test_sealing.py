from __future__ import annotations

from dataclasses import replace

import pytest

from ledger_service.chain.sealing import Sealing
from ledger_service.chain.settings import ChainSettings
from ledger_service.domain.ids import Address
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
