"""Every test belongs to a ring, and a ring means what CONTRIBUTING says."""

from __future__ import annotations

import ast
import re

from tests.house.tree import ROOT, place, read, tracked

RINGS = ("unit", "contracts", "conformance", "integration", "simulation", "acceptance", "house")
#: What a unit test has no use for: processes, servers, nodes, databases.
OUTSIDE = ("subprocess", "socket", "uvicorn", "aiosmtpd", "web3", "sqlalchemy", "docker")
PATCHING = ("unittest", "pytest_mock", "mock")


def imports(text: str) -> set[str]:
    """Return the top-level names that a file imports."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.split(".")[0])
    return found


def test_every_test_lies_in_a_ring() -> None:
    files = [path.relative_to(ROOT / "tests") for path in tracked("tests/*test_*.py")]

    assert len(files) > 80
    assert {str(file) for file in files if file.parts[0] not in RINGS} == set()


def test_every_ring_is_described_where_people_begin() -> None:
    page = read("CONTRIBUTING.md")

    assert {ring for ring in RINGS if f"`tests/{ring}`" not in page} == set()


def test_unit_tests_reach_for_nothing_outside() -> None:
    found = {
        f"{place(path)}: {name}"
        for path in tracked("tests/unit/*.py")
        for name in imports(path.read_text(encoding="utf-8")) & set(OUTSIDE)
    }

    assert found == set()


def test_nothing_of_ours_is_patched_or_mocked() -> None:
    found = {
        place(path)
        for path in tracked("tests/*.py")
        if imports(text := path.read_text(encoding="utf-8")) & set(PATCHING)
        or re.search(r"\bmonkeypatch\.setattr\(", text)
    }

    assert found == set()


def test_the_name_of_a_test_is_a_sentence() -> None:
    short = [
        f"{place(path)}: {name}"
        for path in tracked("tests/*test_*.py")
        for name in re.findall(r"def test_(\w+)\(", path.read_text(encoding="utf-8"))
        if name.count("_") < 2
    ]

    assert short == []
