from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger_service.domain import errors, profile
from ledger_service.domain.profile import Agreement
from ledger_service.domain.units import Quantity
from tests.unit.domain.small import few
from tests.vectors.sample import CARD

TOP = profile.SCALE * profile.MAX_SCORE
SCORES = st.integers(0, TOP)


@few
@given(SCORES, st.integers(-200, 200), SCORES)
def test_agreement_is_the_same_from_both_sides(one: int, step: int, threshold: int) -> None:
    two = min(max(one + step, 0), TOP)

    assert profile.agree(one, two) == profile.agree(two, one)
    assert profile.classify(one, two, threshold) == profile.classify(two, one, threshold)
    assert profile.classify(one, one, threshold) is Agreement.BIT_EQUAL


@pytest.mark.parametrize(
    ("one", "two", "near"),
    [
        (0, 1, True),
        (0, 2, False),
        (16_383, 16_384, True),
        (16_382, 16_384, True),
        (16_381, 16_383, False),
        (TOP, TOP - 123, True),
        (TOP, TOP - 124, False),
    ],
)
def test_how_near_is_near(one: int, two: int, near: bool) -> None:  # noqa: FBT001  the expectation
    assert profile.agree(one, two) is near


@pytest.mark.parametrize(
    ("claimed", "recomputed", "found"),
    [
        (100_000, 100_000, Agreement.BIT_EQUAL),
        (100_001, 100_002, Agreement.WITHIN),
        (99_999, 100_000, Agreement.WITHIN),  # neither exceeds the threshold
        (100_001, 100_000, Agreement.BORDERLINE),
        (100_000, 100_001, Agreement.BORDERLINE),
        (100_001, 99_000, Agreement.CONFLICT),
        (0, TOP, Agreement.CONFLICT),
    ],
)
def test_what_an_own_run_says_of_the_claim(claimed: int, recomputed: int, found: Agreement) -> None:
    assert profile.classify(claimed, recomputed, 100_000) is found


@pytest.mark.parametrize(
    ("score", "found"),
    [(0.0, 0), (-0.0, 0), (1e-9, 0), (1.0, 100_000), (19.999999, TOP), (20, TOP), (1e308, TOP)],
)
def test_scores_are_rounded_and_capped(score: float, found: int) -> None:
    assert profile.quantise(score) == found
    assert profile.of_quantity(profile.quantity(found)) == found


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), -1e-9])
def test_what_is_no_score_is_refused(score: float) -> None:
    with pytest.raises(errors.BadSample, match="found"):
        profile.quantise(score)


@pytest.mark.parametrize(
    "claimed",
    [Quantity(1, -4, "1"), Quantity(1, -5, "%"), Quantity(-1, -5, "1"), Quantity(TOP + 1, -5, "1")],
)
def test_a_claim_on_another_scale_is_refused(claimed: Quantity) -> None:
    with pytest.raises(errors.UnknownField, match="expected exponent -5"):
        profile.of_quantity(claimed)


def test_a_card_survives_and_every_field_is_in_its_id() -> None:
    changed = [
        CARD.model_copy(update={"threshold": 1}),
        CARD.model_copy(update={"model_digest": "0" * 64}),
        CARD.model_copy(update={"input": CARD.input.model_copy(update={"columns": ("a", "b")})}),
    ]

    assert profile.load_card(CARD.dumps()) == CARD
    assert len({card.id for card in [CARD, *changed]}) == 4


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"profile": "other/1"}, "Another profile"),
        ({"threshold": 0}, "threshold"),
        ({"threshold": TOP + 1}, "threshold"),
        ({"threshold": "1"}, "threshold"),
        ({"modelDigest": "AB" * 32}, "modelDigest"),
        ({"modelDigest": "ab" * 32 + "\n"}, "modelDigest"),
        ({"failureModes": []}, "failureModes"),
        ({"mood": 1}, "mood"),
        ({"input": None}, "input"),
    ],
)
def test_a_card_of_another_shape_is_refused(change: dict[str, Any], place: str) -> None:
    fields = json.loads(CARD.dumps()) | change

    with pytest.raises(errors.UnknownField, match=place):
        profile.load_card(json.dumps(fields).encode())


@pytest.mark.parametrize(
    ("change", "place"),
    [({"units": ["rpm"]}, "unit"), ({"minRows": 2000}, "minRows"), ({"columns": ["a", "a"]}, "twice")],
)  # fmt: skip
def test_an_input_that_contradicts_itself_is_refused(change: dict[str, Any], place: str) -> None:
    fields = json.loads(CARD.dumps())
    fields["input"] |= change

    with pytest.raises(errors.UnknownField, match=place):
        profile.load_card(json.dumps(fields).encode())
