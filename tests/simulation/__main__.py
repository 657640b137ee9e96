"""`python -m tests.simulation`: run seeds, count, tell. `make simulate` calls it."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from itertools import islice
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated

from cyclopts import App, CycloptsError, Parameter, validators
from rich.console import Console
from rich.progress import Progress

from tests.simulation import report
from tests.simulation.known import KNOWN
from tests.simulation.world import Outcome, run

Number = Annotated[int, Parameter(validator=validators.Number(gte=1))]
FAILED, WRONG_USE = 1, 2

app = App(
    name="python -m tests.simulation",
    help="""Run the verbs on simulated worlds: seeded schedules, virtual time, every fault there is.

    Ends with 1 if an invariant did not hold; then the run can be seen again by its seed.

    Example: `make simulate N=1000`, `make simulate SEED=42`,
    `python -m tests.simulation --seeds 1000 --processes 2 --json build/simulation.json`
    """,
)


@app.default
def main(
    *,
    seeds: Number = 100,
    first: int = 0,
    seed: int | None = None,
    minutes: float | None = None,
    least: int = 0,
    processes: Number = 1,
    json: Path | None = None,
    stop_at_first: bool = False,
    known: bool = True,
) -> None:
    """Run seeds.

    Parameters
    ----------
    seeds
        How many, after those that are known to have failed once.
    first
        The first of them.
    seed
        This one alone.
    minutes
        Begin no more seeds after that long.
    least
        How many are run however long they take.
    processes
        How many run at the same time.
    json
        Where to write all counts.
    stop_at_first
        Begin no more seeds after a violation.
    known
        Begin with the seeds that failed once.
    """
    console = Console(stderr=True, width=None if sys.stderr.isatty() else 160)
    wanted = (
        [seed] if seed is not None else [*(KNOWN if known else ()), *range(first, first + seeds)]
    )
    end = None if minutes is None else time.monotonic() + 60 * minutes
    total, began = report.Total(), time.monotonic()
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("seeds", total=len(wanted))
        for outcome in _outcomes(wanted, processes, end, least):
            total.add(outcome)
            progress.update(bar, advance=1, description=f"{total.steps:,} steps")
            if outcome.violations:
                report.show_bad(console, outcome)
                if stop_at_first:
                    break
    seconds = time.monotonic() - began
    total.show(console, seconds)
    if json is not None:
        total.save(json, seconds)
    if total.bad:
        sys.exit(FAILED)


def _in_time(seeds: Sequence[int], end: float | None, least: int) -> Iterator[int]:
    """Yield the seeds until the end, `least` of them also behind it."""
    for begun, seed in enumerate(seeds):
        if begun >= least and end is not None and time.monotonic() > end:
            return
        yield seed


def _outcomes(
    seeds: Sequence[int], processes: int, end: float | None, least: int
) -> Iterator[Outcome]:
    """Run the seeds, each in some process; stop beginning new ones at the end."""
    left = _in_time(seeds, end, least)
    if processes == 1:
        yield from map(run, left)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running: set[Future[Outcome]] = set()
        while True:
            for seed in islice(left, processes - len(running)):
                running.add(pool.submit(run, seed))
            if not running:
                return
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)


def _same_hashes() -> None:
    """Begin again with hashes that are the same in every process: sets are gone through in their order."""
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.environ["PYTHONHASHSEED"] = "0"
        os.execv(sys.executable, [sys.executable, "-m", "tests.simulation", *sys.argv[1:]])  # noqa: S606  ourselves


if __name__ == "__main__":
    _same_hashes()
    try:
        app(exit_on_error=False, print_error=True)
    except CycloptsError:
        sys.exit(WRONG_USE)
