"""The code map names every package and every verb, and nothing that is not there."""

from __future__ import annotations

import re
from pathlib import Path

from tests.house.tree import FOLDERS, PACKAGES, ROOT, code_of, read, tracked

PAGE = "docs/code-map.md"
#: In these every file is a verb, or near one.
VERBS = ("ledger_service/services", "validators/agent")


def named() -> set[str]:
    """Return the paths from the root that the page has in code or in its picture."""
    words = re.findall(r"[\w./-]+", "\n".join(code_of(PAGE)))
    return {word.rstrip("/.") for word in words if word.startswith(tuple(f"{f}/" for f in FOLDERS))}


def test_every_package_is_on_the_map() -> None:
    packages = {
        str(path.parent.relative_to(ROOT))
        for path in tracked(*(f"{package}/*__init__.py" for package in PACKAGES))
    } - {"edge", "ledger_service", "validators"}  # they have a heading

    missing = {it for it in packages if not re.search(rf"`{it}/?`", read(PAGE))}

    assert missing == set()


def test_every_verb_is_on_the_map() -> None:
    files = {
        str(path.relative_to(ROOT))
        for path in tracked(*(f"{folder}/*.py" for folder in VERBS))
        if path.name != "__init__.py"
    }

    assert files - named() == set()


def test_every_ring_of_tests_is_on_the_map() -> None:
    rings = {path.relative_to(ROOT).parts[1] for path in tracked("tests/*/*.py")}

    assert {f"tests/{ring}" for ring in rings} - named() == set()


def test_all_that_the_map_names_is_there() -> None:
    found = named()

    assert len(found) > 90
    assert {it for it in found if not list(ROOT.glob(it))} == set()


def test_each_file_in_a_row_lies_in_the_package_of_the_row() -> None:
    rows = re.findall(r"^\| `([\w/.]+)` (.*)$", read(PAGE), re.MULTILINE)
    named_in = [
        ((ROOT / row if (ROOT / row).is_dir() else (ROOT / row).parent) / name)
        for row, line in rows
        for name in re.findall(r"`([\w.]+\.(?:py|sol))`", line)
    ]

    assert len(rows) > 40
    assert [str(path) for path in named_in if not path.exists()] == []


def test_every_adapter_of_a_package_is_one_line_away() -> None:
    """Every module of an adapter is named by its file, in the row of its package."""
    text = read(PAGE)
    adapters = ("db", "chain", "storage", "api", "domain", "wiring")
    files = [
        path
        for adapter in adapters
        for path in tracked(f"ledger_service/{adapter}/*.py")
        if path.parent.name == adapter and path.name != "__init__.py"
    ]

    assert [str(Path(f).relative_to(ROOT)) for f in files if f"`{f.name}`" not in text] == []
