"""Writes docs/errors.md from the error classes and docs/errors.toml: `python -m tests.house.error_page`."""

from __future__ import annotations

import importlib
import re
import tomllib
from collections.abc import Iterator

from ledger_service.domain.errors import LedgerError
from tests.house.tree import PACKAGES, ROOT, place, read, tracked

PAGE = ROOT / "docs/errors.md"
HEAD = """# Errors

Written by `make docs` from the error classes and `docs/errors.toml`; do not edit. The tree is drawn in
[errors.py](../ledger_service/domain/errors.py), the answers of the API are RFC 9457 problems
([problems.py](../ledger_service/api/problems.py)): `code`, `title`, `detail` with what was found and expected, and a
`type` that ends in the code, which is the anchor on this page (a name, not an address to fetch). What the
HTTP layer itself refuses has the type `about:blank` and the code `HTTP404`, `HTTP405` and so on.

On the command line an error is one line, `mol: CODE message`; exit 2 for `CO..`, else 1. Errors with a
status reach a caller of the API only if a call there raises them.
"""
FAMILIES = {
    "EV": "Evidence that cannot be accepted",
    "CF": "Something else was first",
    "NF": "Not there",
    "AU": "Access",
    "LM": "Limits",
    "CH": "The chain and its nodes",
    "ST": "Storage",
    "RL": "Destinations",
    "CO": "Settings, keys, job plans",
    "ED": "Sending evidence",
    "AG": "An organisation's agent",
    "DE": "The demo",
    "PR": "Processes",
    "LE": "Faults of ours",
}


def advice() -> dict[str, str]:
    """Return code -> what to do."""
    return {str(code): str(text) for code, text in tomllib.loads(read("docs/errors.toml")).items()}


def kinds() -> list[type[LedgerError]]:
    """Return every error class of the project, found where a subclass is written."""
    for path in tracked(*(f"{package}/*.py" for package in PACKAGES)):
        if re.search(r"^class \w+\(.*Error\):", path.read_text(encoding="utf-8"), re.MULTILINE):
            importlib.import_module(place(path).removesuffix(".py").replace("/", "."))
    return sorted(set(_family(LedgerError)), key=lambda kind: (kind.code, kind.__name__))


def page() -> str:
    """Return the page."""
    told, errors = advice(), kinds()
    parts = [HEAD]
    for letters, title in FAMILIES.items():
        rows = [_row(kind, told) for kind in errors if kind.code.startswith(letters)]
        parts.append(f"\n## {title}\n\n| code | HTTP | means | what to do |\n|---|---|---|---|\n")
        parts.extend(rows)
    return "".join(parts)


def _family(kind: type[LedgerError]) -> Iterator[type[LedgerError]]:
    if kind.__module__.split(".")[0] in PACKAGES:
        yield kind
    for child in kind.__subclasses__():
        yield from _family(child)


def _row(kind: type[LedgerError], told: dict[str, str]) -> str:
    code = kind.code
    name = f'<a id="{code}"></a>`{code}` {kind.__name__}'
    return f"| {name} | {kind.status} | {kind.title()} | {told.get(code, '')} |\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
