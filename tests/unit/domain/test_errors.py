from __future__ import annotations

import ast
import inspect
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from ledger_service.domain import errors
from ledger_service.domain.errors import LedgerError

ROOT = Path(errors.__file__).parents[2]
PACKAGES = ("audit", "edge", "integrations", "ledger_service", "validators")
DOMAIN = sorted(Path(errors.__file__).parent.glob("*.py"))
#: Their docstring says all there is to say.
SAY_ENOUGH = {"EmptyDataset"}


def family(kind: type[LedgerError]) -> Iterator[type[LedgerError]]:
    yield kind
    for child in kind.__subclasses__():
        yield from family(child)


OWN = [kind for kind in family(LedgerError) if kind.__module__ == errors.__name__]


def codes_in(path: Path) -> list[str]:
    return re.findall(
        r'^    code = "([A-Z]{2}\d\d)"$', path.read_text(encoding="utf-8"), re.MULTILINE
    )


def test_every_code_of_the_whole_project_belongs_to_one_error() -> None:
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]
    codes = Counter(code for path in files for code in codes_in(path))

    assert [code for code, times in codes.items() if times > 1] == []
    assert set(codes) >= {kind.code for kind in OWN} - {LedgerError.code}
    assert len({kind.code for kind in OWN}) == len(OWN)


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    lines = re.findall(r"^ {6}(\w+) +(\d+|-) +([A-Z]{2})\.\.", errors.__doc__ or "", re.MULTILINE)
    drawn = {name: (letters, status) for name, status, letters in lines}
    inner = [kind for kind in OWN if LedgerError in kind.__bases__]

    assert set(drawn) == {kind.__name__ for kind in inner}
    for kind in inner:
        letters, status = drawn[kind.__name__]
        codes = {one.code[:2] for one in OWN if issubclass(one, kind)}
        assert codes == {letters}, kind
        assert status in {"-", str(kind.status)}, kind


@pytest.mark.parametrize("kind", OWN)
def test_every_error_is_one_sentence_that_can_be_shown(kind: type[LedgerError]) -> None:
    text = inspect.cleandoc(kind.__doc__ or "")

    assert re.fullmatch(r"[A-Z][^\n]*\.", text), text
    assert kind.title() == text
    assert 400 <= kind.status < 600


def test_the_message_has_title_detail_and_facts() -> None:
    error = errors.BadChunkSize("In a.csv.", found=5, expected="64 KiB")

    assert str(error) == (
        "The chunk size is not one of 64 KiB, 1 MiB, 4 MiB. In a.csv. (found 5, expected 64 KiB)"
    )
    assert error.fields == {"found": 5, "expected": "64 KiB"}
    assert str(errors.EmptyDataset()) == "A statement must name at least one file."


def raised(path: Path) -> Iterator[tuple[str, str, bool]]:
    """Yield place, name and whether anything is said, of each error that a module raises."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.Raise) or node.exc is None:
            continue
        call = node.exc if isinstance(node.exc, ast.Call) else None
        name = ast.unparse(call.func if call else node.exc)
        if name.startswith("errors."):
            said = call is not None and bool(call.args or call.keywords)
            yield f"{path.name}:{node.lineno}", name.removeprefix("errors."), said


def test_every_error_of_the_domain_says_what_was_found_or_expected() -> None:
    found = [item for path in DOMAIN for item in raised(path)]
    silent = [(place, name) for place, name, said in found if not said and name not in SAY_ENOUGH]

    assert len(found) > 50
    assert silent == []
