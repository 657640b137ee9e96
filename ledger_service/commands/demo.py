"""`mol demo`: the whole journey on one machine, from nothing to delivered orders."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import App, Parameter, validators
from rich.console import Console

from ledger_service.commands.show import Json, as_json
from ledger_service.demo import run as story
from ledger_service.demo.signals import until_told

WRONG_USE = 2
OUT = Path("build/demo")

app = App(
    name="demo",
    help="""Run the whole journey on this machine, from nothing: machines' data in, orders out.

    A chain, the service and three organisations' agents start as processes of their own; each
    agent checks every claim from the bytes; approved orders go to four destinations.

    Example: `mol demo`, `mol demo --chain clique`, `mol demo --input recordings/`
    """,
)


@app.default
def demo(
    *,
    chain: Literal["embedded", "clique", "qbft"] = "embedded",
    orders: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
    input: Path | None = None,  # noqa: A002  the name is fixed
    out: Path = OUT,
    serve: Annotated[bool, Parameter(negative="")] = False,
    dest: Literal["embedded", "real"] = "embedded",
    edge: Annotated[bool, Parameter(negative="")] = False,
    json: Json = False,
) -> int:
    """Run the demo; exit 0 only if every order reached the end expected of it.

    SIGTERM, SIGINT and SIGHUP end every process of it in order; exit 143, 130 or 129.

    Parameters
    ----------
    chain:
        embedded: one process, no network. clique: four real geth nodes. qbft: four real Besu or
        GoQuorum nodes, from `besu` on PATH, MOL_BESU or MOL_GOQUORUM.
    orders:
        Pieces of evidence to send; the last one of simulated robots is false and must be refused.
        Default: 6, or all that alarm with --input.
    input:
        A folder of datasets (one sub-folder or table each) instead of the simulated robots.
    out:
        Where everything is written: report.json, logs, documents, purchase orders, keys.
    serve:
        Leave the stack running until Ctrl-C or SIGTERM.
    dest:
        Real destinations come with a later capability.
    edge:
        The plant with broker and gateway comes with a later capability.
    """
    if dest == "real" or edge:
        later = "--edge" if edge else "--dest real"
        print(f"mol demo {later}: a later capability, not there yet.", file=sys.stderr)
        return WRONG_USE
    console = Console(stderr=json)
    options = story.Options(chain, out, orders, input, serve)
    made, code = asyncio.run(until_told(story.run(options, console)))
    if json and made is not None:
        as_json(made)
    return code
