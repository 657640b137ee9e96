"""Files, functions and tests stay short; a breach needs its reason in exceptions.txt."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.tree import ROOT, place, tracked

EXCEPTIONS = Path(__file__).with_name("exceptions.txt")
FILE_LINES = 400
FUNCTION_LINES = 40


def excused() -> dict[str, str]:
    """Return place -> reason of the listed breaches."""
    lines = EXCEPTIONS.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("  ", 1) for line in lines if line.strip() and not line.startswith("#"))
    return {place.strip(): reason.strip() for place, reason in pairs}


def code_lines(function: ast.FunctionDef | ast.AsyncFunctionDef, source: list[str]) -> int:
    """Count lines of a function without its docstring, blank lines and comment lines."""
    body = function.body
    documented = ast.get_docstring(function, clean=False) is not None
    first = body[1] if documented and len(body) > 1 else body[0]
    last = function.end_lineno or first.lineno
    lines = source[first.lineno - 1 : last] if not (documented and len(body) == 1) else []
    return sum(1 for line in lines if line.strip() and not line.strip().startswith("#"))


def long_functions(path: Path) -> Iterator[tuple[str, int]]:
    """Yield the functions over the budget as (place, code lines)."""
    text = path.read_text(encoding="utf-8")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            count = code_lines(node, text.splitlines())
            if count > FUNCTION_LINES:
                yield f"{place(path)}:{node.name}", count


@pytest.fixture(scope="module")
def reasons() -> dict[str, str]:
    return excused()


def test_no_file_is_longer_than_its_budget(reasons: dict[str, str]) -> None:
    found = {
        place(path): count
        for path in tracked("*.py", "*.sol", "*.js", "*.ts")
        if (count := len(path.read_text(encoding="utf-8").splitlines())) > FILE_LINES
    }

    assert {place: n for place, n in found.items() if place not in reasons} == {}


def test_no_function_is_longer_than_its_budget(reasons: dict[str, str]) -> None:
    found = dict(pair for path in tracked("*.py") for pair in long_functions(path))

    assert {place: n for place, n in found.items() if place not in reasons} == {}


def test_every_module_says_what_it_is_for() -> None:
    silent = [
        place(path)
        for path in tracked("*.py")
        if "tests" not in path.relative_to(ROOT).parts
        and not ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
    ]

    assert silent == []


def test_every_listed_breach_has_a_reason_and_is_still_there(reasons: dict[str, str]) -> None:
    gone = [place for place in reasons if not (ROOT / place.split(":")[0]).exists()]

    assert gone == []
    assert all(reasons.values())
