"""How figures are told: a table for people, one JSON file a bench for machines."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.bench.figures import Result, rounded

ROOT = Path(__file__).parents[2]
FOLDER = Path("build/bench")
WIDTH = 160


def make(name: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return the report of a bench, in the shape that machines rely on."""
    return {
        "name": name,
        "when": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": {
            "cpus": len(os.sched_getaffinity(0)),
            "python": platform.python_version(),
        },
        "results": [result.as_json() for result in results],
    }


def write(report: dict[str, Any], folder: Path = FOLDER) -> Path:
    """Write NAME.json; return the file."""
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{report['name']}.json"
    file.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return file


def commit() -> str:
    """Return what was measured: the commit, marked if files differ from it; empty without git."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return found.stdout.strip()


def output() -> Console:
    """Return standard output, wide enough for the table where it is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


def show(console: Console, name: str, results: Sequence[Result]) -> None:
    """Print the figures as a table."""
    table = Table(title=name, title_justify="left")
    for column in ("metric", "value", "unit", "against", "ratio", "target"):
        table.add_column(column, justify="right" if column in {"value", "ratio"} else "left")
    for result in results:
        rival = result.against
        table.add_row(
            result.metric,
            f"{rounded(result.value):,}",
            result.unit,
            f"{rival.name}: {rounded(rival.value):,}" if rival else "",
            "" if result.ratio is None else f"{result.ratio:.3f}",
            _target(result),
        )
    console.print(table)


def _target(result: Result) -> str:
    if result.target is None:
        return ""
    colour, word = ("green", "met") if result.met else ("red", "missed")
    return f"{result.target}: [{colour}]{word}[/]"
