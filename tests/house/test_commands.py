"""What pages tell people to type is there, and every command teaches."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import entry_points
from io import StringIO

import pytest
from cyclopts import App
from rich.console import Console

from ledger_service.cli import GROUP, LATER, SUMMARIES, build_app
from tests.house.tree import code_of, pages, place, read

COMMANDS = sorted(point.name for point in entry_points(group=GROUP))


def targets() -> set[str]:
    """Return the targets of the Makefile that people call."""
    return set(re.findall(r"^([a-z][a-z-]*):", read("Makefile"), re.MULTILINE))


def told(program: str) -> Iterator[tuple[str, list[str]]]:
    """Yield page and words of each call of a program that a page has in code."""
    for page in pages():
        for line in code_of(place(page)):
            if not line.strip().startswith("#"):
                for call in re.findall(rf"(?:^|[\s(]){program} ([a-z][^#;&)]*)", line):
                    yield place(page), call.split()


def second(words: list[str]) -> list[str]:
    """Return the sub-commands of a call: one, or several between bars."""
    text = words[1] if len(words) > 1 else ""
    return text.split("|") if re.fullmatch(r"[a-z]+(\|[a-z]+)*", text) else []


def sub(app: App, name: str) -> App | None:
    """Return a command's sub-command."""
    names = [found for found in app if not found.startswith("-")]
    return app[name] if name in names else None


def test_every_make_target_that_a_page_names_is_there() -> None:
    found = [(page, words[0]) for page, words in told("make")]

    assert len(found) > 10
    assert [(page, target) for page, target in found if target not in targets()] == []


def test_every_make_target_has_its_line_of_help() -> None:
    helped = set(re.findall(r"^([a-z-]+):.*## \w", read("Makefile"), re.MULTILINE))

    assert targets() - helped == set()


def test_every_command_that_a_page_names_is_there() -> None:
    app, wrong, count = build_app(), [], 0
    for page, words in told("mol"):
        count += 1
        group = sub(app, words[0])
        names = {name for name in group or () if not name.startswith("-")}
        given = {name for name in second(words) if names} - names
        if group is None or given:
            wrong.append(f"{page}: mol {' '.join(words[:2])}")

    assert count > 50
    assert wrong == []


def test_every_option_that_a_page_gives_is_in_the_help() -> None:
    app, wrong = build_app(), set()
    for page, words in told("mol"):
        command = sub(app, words[0])
        if command is not None and len(words) > 1:
            command = sub(command, words[1]) or command
        for option in (re.match(r"--[a-z-]+", word) for word in words):
            if command is not None and option and option[0] not in options(command):
                wrong.add(f"{page}: mol {' '.join(words[:2])} {option[0]}")

    assert wrong == set()


def options(command: App) -> set[str]:
    """Return the options of a command."""
    collection = command.assemble_argument_collection()
    names = {name for argument in collection for name in argument.names}
    return names | {"--help", "--version", "--json"}


def test_what_is_installed_is_what_the_project_names() -> None:
    points = tomllib.loads(read("pyproject.toml"))["project"]["entry-points"][GROUP]

    assert {point.name: point.value for point in entry_points(group=GROUP)} == points


def shown(app: App) -> str:
    """Return the help as a person sees it."""
    sink = StringIO()
    app.help_print([], console=Console(file=sink, width=200))
    return sink.getvalue()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_loads_and_teaches_by_an_example(name: str) -> None:
    app = build_app()[name]

    text = shown(app)
    if name in LATER:
        assert "not there yet" in text
    else:
        assert f" mol {name}" in text.partition("\n")[2], "an example, `mol ...`, below the usage"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_of_commands_says_of_each_the_first_sentence_of_its_own_help(name: str) -> None:
    said = build_app()[name].help

    assert re.split(r"(?<=\.)\s", said, maxsplit=1)[0] == SUMMARIES[name]
    assert ("A later capability" in said) == (name in LATER)


def test_the_list_of_commands_names_no_command_that_is_not_there() -> None:
    assert set(SUMMARIES) - set(COMMANDS) == set()


def test_the_list_of_commands_is_shown_without_importing_one() -> None:
    listing = (
        "import sys; from ledger_service.cli import run; run(['--help'])\n"
        "assert not [name for name in sys.modules if '.commands' in name]"
    )

    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, check=True)

    text = re.sub(r"[\s│]+", " ", done.stdout.decode())
    present, _, later = text.partition("Later capabilities, not there yet")
    for name in COMMANDS:
        assert f"{name} {SUMMARIES[name]}" in (later if name in LATER else present)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_sub_command_says_what_it_does(name: str) -> None:
    app = build_app()[name]

    silent = [
        each
        for each in app
        if not each.startswith("-")
        and not (app[each].help or getattr(app[each].default_command, "__doc__", ""))
    ]

    assert silent == []
