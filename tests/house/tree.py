from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGES = ("audit", "contracts", "edge", "integrations", "ledger_service", "validators")
FOLDERS = (*PACKAGES, "docs", "requirements", "tests")
#: Needs an Alembic context: it is run by migrations, never imported.
NOT_IMPORTED = ("ledger_service.db.migrations.env", "ledger_service.db.migrations.versions")


@cache
def tracked(*patterns: str) -> tuple[Path, ...]:
    """Return the files that belong to the project: tracked, or new and not ignored."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    listed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    paths = (ROOT / line for line in sorted(set(listed.stdout.splitlines())))
    return tuple(path for path in paths if path.exists())


def place(path: Path) -> str:
    """Return a path as people write it here."""
    return path.relative_to(ROOT).as_posix()


def read(name: str) -> str:
    """Return the text of a file of the project."""
    return (ROOT / name).read_text(encoding="utf-8")


def pages() -> list[Path]:
    """Return the pages that people read."""
    return list(tracked("*.md"))


def modules() -> Iterator[str]:
    """Yield every importable module of the shipped packages."""
    for package in PACKAGES:
        found = importlib.import_module(package)
        for item in pkgutil.walk_packages(found.__path__, f"{package}."):
            if not item.name.startswith(NOT_IMPORTED) and not item.name.endswith("__main__"):
                yield item.name


@cache
def code_of(name: str) -> tuple[str, ...]:
    """Return what a page has in code, inline or fenced, line by line."""
    text = read(name)
    fenced = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    inline = re.findall(
        r"`([^`\n]+)`", re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    )
    return tuple(line for block in (*fenced, *inline) for line in block.splitlines())
