"""The page of errors is made from the classes, says what to do about each, and has each code once."""

from __future__ import annotations

from collections import Counter

from ledger_service.api import problems
from ledger_service.domain import errors
from tests.house import error_page


def test_the_page_of_errors_is_fresh() -> None:
    assert error_page.PAGE.read_text(encoding="utf-8") == error_page.page(), "run `make docs`"


def test_every_error_says_what_to_do_and_no_advice_is_left_over() -> None:
    codes = Counter(kind.code for kind in error_page.kinds())

    assert [code for code, times in codes.items() if times > 1] == []
    assert set(error_page.advice()) == set(codes)
    assert {code[:2] for code in codes} == set(error_page.FAMILIES)


def test_a_problem_of_the_api_leads_to_its_line_on_the_page() -> None:
    problem = problems.problem_of(errors.DigestMismatch())

    anchor = b'"type":"' + problems.TYPE.encode() + b'EV03"'
    assert anchor in problem.body
    assert problems.TYPE.endswith("/docs/errors.md#")
    assert '<a id="EV03">' in error_page.page()
