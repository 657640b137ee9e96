"""How many validators a chain needs, and what is said of those that are down."""

from __future__ import annotations

import pytest

from ledger_service.chain.muster import Muster, needed
from ledger_service.chain.settings import ChainSettings


@pytest.mark.parametrize(
    ("kind", "validators", "least"),
    [
        ("clique", 1, 1),
        ("clique", 3, 2),
        ("clique", 4, 3),
        ("clique", 5, 3),
        ("qbft", 4, 3),
        ("qbft", 5, 4),
        ("qbft", 7, 5),
        ("embedded", 1, 1),
    ],
)
def test_blocks_go_on_with_more_than_half_in_clique_and_two_thirds_in_qbft(
    kind: str, validators: int, least: int
) -> None:
    assert needed(kind, validators) == least


def test_one_of_four_down_is_named_and_the_chain_goes_on() -> None:
    found = Muster(("a", "b", "c"), ("d",), missing=1, validators=4, needed=3)

    assert found.short == 0
    assert found.text == "down: d; the chain needs 3 of its 4 validators and goes on"


def test_two_of_four_down_are_named_with_how_many_must_come_up() -> None:
    found = Muster(("a", "b"), ("c", "d"), missing=2, validators=4, needed=3)

    assert found.short == 1
    assert found.text == (
        "down: c, d; the chain needs 3 of its 4 validators and stands still: 1 more must come up"
    )


def test_a_node_that_does_not_seal_is_named_and_not_missed() -> None:
    found = Muster(("a",), ("reader",), missing=0, validators=1, needed=1)

    assert found.short == 0
    assert found.as_json()["down"] == ["reader"]


def settings_of(*names: str) -> ChainSettings:
    rpc = tuple(f"http://127.0.0.1:{port}" for port in (1, 2))
    sealing = (True, False) if names else ()
    return ChainSettings("qbft", 1, rpc, (), 0, 1.0, (), names=names, sealing=sealing)


def test_an_own_node_is_taken_out_of_the_list_with_its_name() -> None:
    own = settings_of("a", "b").through(1)

    assert (own.rpc, own.labels, own.sealing) == (("http://127.0.0.1:2",), ("b",), (False,))


def test_a_node_without_a_name_is_called_by_its_host() -> None:
    assert settings_of().labels == ("127.0.0.1:1", "127.0.0.1:2")
