"""What many runs came to: counts added up, as a table and as JSON."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.simulation.coverage import waits
from tests.simulation.faults import KINDS
from tests.simulation.invariants import INVARIANTS
from tests.simulation.world import Outcome

FEWEST = 10
MANY = 500  #: seeds, from which on a place where nobody died is worth a line


@dataclass
class Total:
    """All runs of one call."""

    seeds: int = 0
    sql: int = 0
    steps: int = 0
    virtual: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    deaths: Counter[str] = field(default_factory=Counter)
    digests: dict[int, str] = field(default_factory=dict)
    bad: list[Outcome] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add a run."""
        self.seeds += 1
        self.sql += outcome.sql
        self.steps += outcome.steps
        self.virtual += outcome.seconds
        self.faults += outcome.faults
        self.deaths += outcome.deaths
        self.digests[outcome.seed] = f"{outcome.digest:016x}"
        if outcome.violations:
            self.bad.append(outcome)

    def at_waits(self) -> dict[str, int]:
        """Return how often processes died at each place of the verbs that waits."""
        return {place: self.deaths[place] for place in waits()}

    def save(self, path: Path, seconds: float) -> None:
        """Write it all as JSON."""
        places = waits()
        body = {
            "seeds": self.seeds,
            "seedsOnSqlite": self.sql,
            "steps": self.steps,
            "wallSeconds": round(seconds, 1),
            "virtualSeconds": round(self.virtual),
            "faults": {kind: self.faults[kind] for kind in KINDS},
            "diedAt": {f"{at}  {places[at]}": n for at, n in self.at_waits().items()},
            "digests": self.digests,
            "violations": [
                {"seed": bad.seed, **asdict(first)} for bad in self.bad for first in bad.violations
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(body, indent=1) + "\n", encoding="utf-8")

    def show(self, console: Console, seconds: float) -> None:
        """Print it."""
        table = Table("fault", "times", title="What went wrong, and how often")
        for kind in KINDS:
            table.add_row(kind, f"{self.faults[kind]:,}")
        console.print(table)
        died = self.at_waits()
        rare = sorted((n, place) for place, n in died.items() if n < FEWEST)
        if self.seeds >= MANY:
            for number, place in rare:
                line = f"died {number} times at {place}  {waits()[place]}"
                console.print(line, highlight=False, markup=False)
        rate = self.steps / max(seconds, 0.001)
        console.print(
            f"{self.seeds:,} seeds ({self.sql:,} on SQLite), {self.steps:,} steps, "
            f"{self.virtual / 3600:,.1f} hours of virtual time in {seconds:,.0f} s "
            f"({rate:,.0f} steps/s); {sum(self.faults.values()):,} faults; "
            f"{len(died) - len(rare)} of {len(died)} waits died at {FEWEST} times or more; "
            f"{len(self.bad)} violations",
            highlight=False,
        )


def show_bad(console: Console, outcome: Outcome) -> None:
    """Print a run that failed, and how to see it again."""
    for line in outcome.trace:
        console.print(line, highlight=False, markup=False)
    for found in outcome.violations:
        text = f"seed {outcome.seed}, step {found.step}: {found.invariant}: {INVARIANTS[found.invariant]}"
        console.print(text, style="red", highlight=False, markup=False)
        console.print(found.text, highlight=False, markup=False)
    console.print(
        f"again: make simulate SEED={outcome.seed}   (digest {outcome.digest:016x})",
        highlight=False,
    )
