from __future__ import annotations

from datetime import UTC, datetime, timedelta

from ledger_service.domain.records import Circuit
from ledger_service.services.pace import Pace, Trial, judged

NOW = datetime(2026, 11, 24, 9, 0, tzinfo=UTC)
SECOND = timedelta(seconds=1)
PACE = Pace(first_pause=SECOND, failures=3, longest_silence=60 * SECOND)
NO, YES = Trial(NOW, answered=False, reason="away"), Trial(NOW, answered=True)


def after(circuit: Circuit | None, *trials: Trial, seconds: float = 0) -> Circuit | None:
    return judged(circuit, "erp", trials, NOW + timedelta(seconds=seconds), PACE)


def test_pauses_double_up_to_hours_jittered_and_never_end() -> None:
    assert SECOND / 2 <= PACE.pause(1) <= SECOND
    assert 8 * SECOND <= PACE.pause(5) <= 16 * SECOND
    assert timedelta(hours=3) <= PACE.pause(10_000) <= timedelta(hours=6)
    assert len({PACE.pause(9) for _ in range(20)}) > 1


def test_a_pause_is_never_shorter_than_asked_and_never_longer_than_the_longest() -> None:
    assert PACE.pause(1, asked=90 * SECOND) == 90 * SECOND
    assert PACE.pause(1, asked=timedelta(days=400)) == timedelta(hours=6)


def test_a_few_failures_are_counted_and_an_answer_forgets_them() -> None:
    once = after(None, NO)
    twice = after(once, NO, seconds=5)

    assert once == Circuit("erp", 1, NOW, reason="away")
    assert twice == Circuit("erp", 2, NOW, reason="away")
    assert after(once, NO, YES) is None
    assert after(twice, YES, NO) == once


def test_so_many_failures_in_a_row_leave_the_destination_alone_for_longer_and_longer() -> None:
    held = after(None, NO, NO, NO)
    assert held is not None
    assert held.until is not None
    assert held.held_at == NOW
    assert NOW + SECOND / 2 <= held.until <= NOW + SECOND

    for number, least in ((1, 1), (2, 2), (3, 4), (9, 30), (200, 30)):
        known = Circuit("erp", 2 + number, NOW, NOW, NOW)
        again = after(known, NO)
        assert again is not None
        assert again.until is not None
        assert NOW + least * SECOND <= again.until <= NOW + 60 * SECOND


def test_what_was_under_way_when_it_was_decided_changes_nothing() -> None:
    held = Circuit("erp", 3, NOW, NOW + SECOND, NOW + 9 * SECOND, "away")

    assert after(held, NO, YES, NO, seconds=2) == held
    probe = Trial(NOW + 9 * SECOND, answered=True)
    assert after(held, NO, probe, seconds=10) is None


def test_a_destination_that_asks_for_a_pause_is_left_alone_at_once_for_as_long() -> None:
    held = after(None, Trial(NOW, answered=False, reason="429", asked=90 * SECOND))

    assert held is not None
    assert held.until == NOW + 90 * SECOND
    assert held.failures == 1
