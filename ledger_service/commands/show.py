"""How commands print: tables for people, JSON for machines."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from ledger_service.domain import errors

Yes = Annotated[bool, Parameter("--yes", negative="", help="Do not ask.")]
Json = Annotated[bool, Parameter("--json", negative="", help="Print JSON.")]
SHORT = 12


def confirmed(question: str) -> bool:
    """Ask the person at the terminal. Raise ConfigError if there is none."""
    if not sys.stdin.isatty():
        raise errors.ConfigError("Nobody can be asked here; give --yes.")
    return input(f"{question} [y/N] ").strip().lower() in {"y", "yes"}


def as_json(value: Any) -> None:
    """Print a value as JSON, indented."""
    print(json.dumps(value, indent=2, default=str))


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    whole: Sequence[str] = (),
) -> None:
    """Print rows as a table; a line that says so if there are none.

    `whole`: columns that are to be copied, so never folded over lines.
    """
    console = Console()
    if not rows:
        console.print(f"{title}: none")
        return
    drawn = Table(title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, overflow="fold", no_wrap=column in whole)
    for row in rows:
        drawn.add_row(*(str(cell) for cell in row))
    console.print(drawn)


def short(text: str) -> str:
    """Return the first digits of a long hex text."""
    return text if len(text) <= SHORT else text[:SHORT] + "…"
