"""What pages point at is there, every decision is listed, and no file knows a machine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from tests.house.tree import FOLDERS, ROOT, code_of, pages, place, read, tracked

LINK = re.compile(r"(?<!!)\[[^\]\n]*\]\(([^)\s]+)\)")
DECISIONS = "docs/decisions"
#: Named to say that it is not there.
ABSENT = {"docs/decisions/0070-agent.md: validators/signer"}
#: Files whose text is other people's or made by a tool.
FOREIGN = ("package-lock.json", ".onnx", "tests/vectors/", "tests/golden/evidence/")
#: Written here, so that this file does not find itself.
PATHS = ("/wo" + "rk/", "/ro" + "ot/", "/ho" + "me/", "/Us" + "ers/")
HOSTS = ("pyp" + "i.org", "registry.npm" + "js", "pythonho" + "sted", "proxy.gol" + "ang")
#: Words that belong into no file: what is not done is an issue, not a comment.
WORDS = ("TO" + "DO", "FIX" + "ME", "XX" + "X")


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page: its headings, as forges name them, and those it sets itself."""
    text = page.read_text(encoding="utf-8")
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
    return {*plain, *re.findall(r'<a id="([^"]+)">', text)}


def broken(page: Path) -> Iterator[str]:
    """Yield the links of a page that lead nowhere inside the project."""
    for target in LINK.findall(page.read_text(encoding="utf-8")):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            yield f"{place(page)}: {target}"


def test_every_link_inside_the_project_leads_somewhere() -> None:
    assert [line for page in pages() for line in broken(page)] == []


def test_every_file_that_a_page_names_is_there() -> None:
    pattern = re.compile(rf"(?:{'|'.join(FOLDERS)})/[\w./-]*\w")
    missing = {
        f"{place(page)}: {name}"
        for page in pages()
        for line in code_of(place(page))
        if line.startswith(tuple(f"{folder}/" for folder in FOLDERS)) and " " not in line
        for name in pattern.findall(line)[:1]
        if not (ROOT / name).exists()
    }

    assert missing - ABSENT == set()


def test_every_decision_is_in_the_index_and_has_its_form() -> None:
    index = read(f"{DECISIONS}/README.md")
    for path in tracked(f"{DECISIONS}/0*.md"):
        text = path.read_text(encoding="utf-8")
        title = text.splitlines()[0].removeprefix(f"# {path.name[:4]} ")

        assert f"[{path.name[:4]}]({path.name}) {title}" in index, path.name
        assert re.search(r"^\d{4}-\d\d-\d\d\. (Accepted|Replaced)", text, re.MULTILINE), path.name
        assert {"**Context.**", "**Decision.**"} <= set(re.findall(r"\*\*\w+\.\*\*", text))


def texts() -> Iterator[tuple[str, str]]:
    """Yield name and text of every file that is ours to word."""
    for path in tracked():
        name = place(path)
        if not any(part in name for part in FOREIGN):
            yield name, path.read_text(encoding="utf-8")


def test_no_file_names_a_machine_or_a_registry() -> None:
    found = [
        f"{name}: {word}" for name, text in texts() for word in (*PATHS, *HOSTS) if word in text
    ]

    assert found == []


def test_nothing_is_left_to_be_done_in_a_comment() -> None:
    found = [
        f"{name}: {word}"
        for name, text in texts()
        for word in WORDS
        if name != "pyproject.toml" and re.search(rf"\b{word}\b", text)
    ]

    assert found == []


def test_every_test_that_a_page_names_is_there() -> None:
    defined = {
        name
        for path in tracked("tests/*.py", "contracts/test/*.sol")
        for name in re.findall(
            r"(?:def|function) ((?:test|check)_\w+)", path.read_text(encoding="utf-8")
        )
    }

    named = {
        (place(page), name)
        for page in pages()
        for line in code_of(place(page))
        for name in re.findall(r"^((?:test|check)_\w+)$", line)
    }

    assert len(named) > 60
    assert {pair for pair in named if pair[1] not in defined} == set()
