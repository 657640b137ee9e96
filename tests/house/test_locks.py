"""Locked dependencies carry hashes and no addresses; what runs is a part of what is tested."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))


def pins(path: Path) -> dict[str, str]:
    """Return name -> version of a lock."""
    return dict(
        re.findall(r"^([a-z0-9._-]+)==([^ ;\\]+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    )


def test_every_pin_has_a_hash() -> None:
    for lock in LOCKS:
        entries = re.split(r"^(?=[a-z0-9])", lock.read_text(encoding="utf-8"), flags=re.MULTILINE)[
            1:
        ]

        assert entries
        assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []


def test_no_lock_names_an_address() -> None:
    locks = [*LOCKS, *ROOT.glob("*/package-lock.json"), *ROOT.glob("tests/*/package-lock.json")]
    for lock in locks:
        text = lock.read_text(encoding="utf-8")

        assert "index-url" not in text
        assert '"resolved"' not in text


def test_what_runs_is_what_is_tested() -> None:
    run, dev = pins(ROOT / "requirements/run.txt"), pins(ROOT / "requirements/dev.txt")

    assert run
    assert {name: version for name, version in run.items() if dev.get(name) != version} == {}


def test_what_runs_locks_every_extra_that_it_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    (named,) = re.findall(r"\[(.*)\]", extras["run"][0])
    wanted = [*project["dependencies"], *(d for extra in named.split(",") for d in extras[extra])]
    names = {re.split(r"[\[><=]", wish)[0] for wish in wanted} - {project["name"]}

    assert names - pins(ROOT / "requirements/run.txt").keys() == set()
