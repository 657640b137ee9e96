from __future__ import annotations

import re

import pytest

from ledger_service.domain import errors
from ledger_service.domain.records import Role
from tests.integration.api.http import Api

WRONG = [
    ("GET", "/v1/nothing", 404, "HTTP404"),
    ("DELETE", "/v1/orders", 405, "HTTP405"),
    ("GET", "/v1/orders/xyz", 422, "EV24"),
    ("GET", "/v1/orders/" + "AB" * 32, 422, "EV24"),
    ("GET", "/v1/orders/" + "ab" * 32, 404, "NF00"),
    ("GET", "/v1/orders?limit=0", 422, "EV24"),
    ("GET", "/v1/evidence?limit=501", 422, "EV24"),
    ("GET", "/v1/evidence/" + "ab" * 32, 404, "NF00"),
    ("GET", "/v1/evidence/" + "ab" * 32 + "/files/%FF%00", 404, "NF00"),
    ("POST", "/v1/orders/" + "ab" * 32 + "/close-out", 422, "EV24"),
]

BLANK = ("HTTP", "about:blank")


@pytest.mark.parametrize(("method", "path", "status", "code"), WRONG)
async def test_every_error_is_a_problem_with_a_code(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    answer = await api.call(method, path)

    problem = answer.json()
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert problem["type"].endswith(f"#{code}") or (code[:4], problem["type"]) == BLANK
    assert problem["title"]
    assert problem["detail"]


async def test_a_problem_says_what_was_found_and_what_was_expected(api: Api) -> None:
    answer = await api.get("/v1/feed", Role.BUYER)

    assert answer.json() == {
        "type": "https://maintenance-order-ledger.example/docs/errors.md#AU02",
        "title": "The token's role does not allow this call.",
        "status": 403,
        "detail": "The token's role does not allow this call. "
        "(found buyer, expected operator or organisation)",
        "code": "AU02",
        "found": "buyer",
        "expected": "operator or organisation",
    }


async def test_a_fault_of_ours_tells_nothing_of_the_inside(api: Api) -> None:
    async def broken() -> dict[str, int]:
        raise ZeroDivisionError("secret")

    object.__setattr__(api.app.state.parts, "ready", broken)

    answer = await api.get("/health/ready")

    assert (answer.status_code, answer.json()["code"]) == (500, "LE00")
    assert "secret" not in answer.text


def test_codes_are_unique_and_of_one_form() -> None:
    def tree(kind: type[errors.LedgerError]) -> list[type[errors.LedgerError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in tree(child))]

    codes = [kind.code for kind in tree(errors.LedgerError) if kind.__module__ == errors.__name__]
    assert len(codes) == len(set(codes))
    assert all(re.fullmatch(r"[A-Z]{2}\d\d", code) for code in codes)
