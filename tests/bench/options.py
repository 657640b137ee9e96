"""What a bench is told."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console

from tests.bench.report import FOLDER
from validators.network.files import Kind

WORK = FOLDER / "work"


@dataclass(frozen=True, slots=True)
class Options:
    """See `python -m tests.bench --help`. The console is on standard error."""

    console: Console
    chain: Kind
    orders: int
    mib: int
    repeats: int
    seed: int
    backlog: int
    transactions: int
    facts: int
    period: int | None

    def say(self, text: str) -> None:
        """Tell how far it is."""
        self.console.print(f"[dim]{text}[/]")


def fresh(name: str) -> Path:
    """Return an empty folder for the files and logs of a bench; those of the last run go."""
    folder = (WORK / name).resolve()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    return folder
