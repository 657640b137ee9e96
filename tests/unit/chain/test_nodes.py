from __future__ import annotations

from ledger_service.chain.nodes import BEHIND_BLOCKS, FIRST_PAUSE, LONGEST_PAUSE, Nodes
from ledger_service.domain import errors

AWAY, LIE = errors.NodeUnreachable(), errors.BadProof()


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def three(period: float = 1.0) -> tuple[Nodes, Clock]:
    clock = Clock()
    return Nodes(["a", "b", "c"], period, clock), clock


def test_the_first_of_the_list_is_asked_first_while_nothing_is_against_it() -> None:
    nodes, _ = three()

    assert nodes.order() == [0, 1, 2]


def test_who_is_away_is_asked_last_and_first_again_when_it_tells_of_its_head() -> None:
    nodes, _ = three()
    nodes.complain(0, AWAY)
    assert nodes.order() == [1, 2, 0]

    nodes.saw(0, 7)

    assert nodes.order() == [0, 1, 2]


def test_who_lied_is_left_alone_whatever_it_says_and_longer_each_time() -> None:
    nodes, clock = three()
    pauses = []
    for _ in range(8):
        nodes.complain(0, LIE)
        nodes.saw(0, 10**9)
        began = clock.now
        while nodes.is_paused(0):
            assert nodes.order() == [1, 2, 0]
            clock.now += 1
        pauses.append(clock.now - began)

    assert pauses[:3] == [FIRST_PAUSE, 2 * FIRST_PAUSE, 4 * FIRST_PAUSE]
    assert pauses[-1] == LONGEST_PAUSE


def test_who_was_good_for_as_long_as_its_pause_begins_anew() -> None:
    nodes, clock = three()
    nodes.complain(0, LIE)
    clock.now += FIRST_PAUSE
    nodes.complain(0, LIE)
    clock.now += 4 * FIRST_PAUSE + 1
    nodes.served(0)

    assert nodes.standings[0].failures == 0


def test_all_are_asked_even_if_something_is_against_each_and_liars_last() -> None:
    nodes, _ = three()
    nodes.complain(0, LIE)
    nodes.complain(1, AWAY)
    nodes.complain(2, AWAY)

    assert nodes.order() == [1, 2, 0]


def test_who_lags_is_asked_after_those_who_do_not_until_it_has_caught_up() -> None:
    nodes, _ = three(period=1)
    for index, head in enumerate((100, 105, 104)):
        nodes.saw(index, head)
    assert nodes.order() == [1, 2, 0]
    assert nodes.views()[0].why == "behind the others"

    nodes.saw(0, 101)

    assert nodes.order() == [0, 1, 2]


def test_a_block_or_two_are_no_lag_and_with_long_periods_three_are() -> None:
    nodes, _ = three(period=15)
    nodes.saw(0, 100)
    nodes.saw(1, 100 + BEHIND_BLOCKS - 1)
    assert nodes.order() == [0, 1, 2]
    nodes.saw(1, 100 + BEHIND_BLOCKS)
    assert nodes.order() == [1, 2, 0]


def test_the_head_of_a_liar_or_one_of_long_ago_makes_nobody_lag() -> None:
    nodes, clock = three()
    nodes.saw(0, 100)
    nodes.saw(2, 10**9)
    assert nodes.order() == [1, 2, 0]
    nodes.complain(2, LIE)
    assert nodes.order() == [0, 1, 2]

    nodes.saw(1, 10**6)
    clock.now += 60
    assert nodes.order()[0] == 0
