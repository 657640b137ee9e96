from __future__ import annotations

import itertools

import pytest

from contracts.load import enums
from ledger_service.domain import errors, lifecycle
from ledger_service.domain.lifecycle import MOVES, Status, rejected


def reachable(status: Status) -> set[Status]:
    found = set(MOVES[status])
    for following in MOVES[status]:
        found |= reachable(following)
    return found


def test_a_state_never_goes_back_and_numbers_only_rise() -> None:
    for status in Status:
        assert status not in reachable(status)
        assert all(following > status for following in MOVES[status])


@pytest.mark.parametrize(("present", "wanted"), list(itertools.product(Status, Status)))
def test_a_move_is_allowed_exactly_where_the_table_has_it(present: Status, wanted: Status) -> None:
    if wanted in MOVES[present]:
        lifecycle.check_move(present, wanted)
    else:
        with pytest.raises(errors.IllegalMove, match=f"found {present.title}"):
            lifecycle.check_move(present, wanted)


def test_every_state_is_reached_and_the_names_are_the_contracts() -> None:
    assert reachable(Status.NONE) == set(Status) - {Status.NONE}
    assert [status.title for status in Status] == enums()["Status"]


def test_money_is_released_only_where_all_approved() -> None:
    assert {Status.VALIDATED, Status.RATIFIED} == lifecycle.RELEASES_PURCHASE
    assert lifecycle.RELEASES_PURCHASE < lifecycle.SETTLED
    assert not lifecycle.MAY_TRY_AGAIN & lifecycle.RELEASES_PURCHASE


def test_what_may_be_tried_again_has_reached_its_end() -> None:
    assert all(not MOVES[status] for status in lifecycle.MAY_TRY_AGAIN)


def test_a_rejection_for_the_state_says_both_states_by_name() -> None:
    refused = rejected("State", 3, 1)

    assert str(refused).endswith("(why State, found Validated, expected Proposed)")
    assert (refused.fields["found"], refused.fields["expected"]) == (3, 1)
    assert "(why State, found 99, expected Proposed)" in str(rejected("State", 99, 1))
    assert "(why Late, found 3, expected 1)" in str(rejected("Late", 3, 1))
