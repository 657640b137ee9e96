"""`python -m tests.bench`: measure, print, write build/bench/NAME.json. `make bench` calls it."""

from __future__ import annotations

import asyncio
import importlib
import sys
from typing import Annotated, Literal

from cyclopts import App, CycloptsError, Parameter, validators
from rich.console import Console

from ledger_service.domain import errors
from tests.bench import report
from tests.bench.figures import Result
from tests.bench.options import WORK, Options

#: In the order in which they run: what needs a quiet machine first.
THERE = {
    "hash": "tests.bench.hashes",
    "gas": "tests.bench.gas",
    "latency": "tests.bench.latency",
    "api": "tests.bench.api",
    "agent": "tests.bench.agent",
    "throughput": "tests.bench.throughput",
    "relay": "tests.bench.relay",
}
LATER = {
    "verify": "milliseconds and bytes of a proof package",
    "detector": "inference time and quality of each detector",
    "console": "page weight and paint times of the web pages",
}
FAILED, WRONG_USE = 1, 2

app = App(
    name="python -m tests.bench",
    help="""Measure the product on this machine, each figure against a rival in the same run.

    hash      dataset root GB/s against `openssl speed`; memory of a 1 GiB upload
    gas       gas per order on a real node, against a Safe and a Governor doing the same
    latency   POST to Validated on four real nodes, against one plain transaction
    api       accepted evidence per second, against a bare route on the same server
    agent     orders one organisation's agent checks and approves per second, and the CPU of each,
              against the bare runs of the detector
    throughput
              orders validated per second, against the flood ceiling of the network and a plain
              loop; transactions submitted with each commit fsynced; cost by what is stored
    relay     settled facts per second to each destination, also under kill -9; live lag

    A table is printed, build/bench/NAME.json is written, and docs/performance.md explains the
    figures. A missed target is shown in red and is no failure: machines differ, ratios less.

    Example: `make bench ONLY=latency CHAIN=clique`,
    `python -m tests.bench --only hash --mib 64` for a quick look
    """,
)


@app.default
def main(
    *,
    only: str = "",
    chain: Literal["embedded", "clique", "qbft"] = "clique",
    orders: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 60,
    mib: Annotated[int, Parameter(validator=validators.Number(gte=2))] = 1024,
    repeats: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 7,
    seed: int = 1,
    backlog: Annotated[int, Parameter(validator=validators.Number(gte=20))] = 800,
    transactions: Annotated[int, Parameter(validator=validators.Number(gte=1))] = 3000,
    facts: Annotated[int, Parameter(validator=validators.Number(gte=600))] = 6000,
    period: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None,
) -> int:
    """Run one bench, or all that are there.

    Parameters
    ----------
    only:
        Name of the bench: hash, gas, latency, api, agent, throughput, relay. Default: all of them.
    chain:
        clique: real geth nodes, built once through the Go module proxy. qbft: real Besu nodes,
        from `besu` on PATH or MOL_BESU. embedded: one process that is no network.
    orders:
        latency: orders posted one by one, each with a plain transaction beside it. agent: the backlog.
    mib:
        hash: size of the file and of the large upload, in MiB.
    repeats:
        hash: how often both sides are measured in turn; the medians are compared.
    seed:
        latency, relay: of the random moments.
    backlog:
        throughput: orders that wait when the anchor starts; a quarter more with the intake.
    transactions:
        throughput: transactions of one order each that are submitted.
    facts:
        relay: how many wait when the clock starts.
    period:
        throughput: seconds a block, at 10 and at 30 million gas. Default: 1, and 5 too at 10 million.
    """
    if only in LATER:
        return _complain(f"bench {only}: a later capability, not there yet: {LATER[only]}.")
    if only and only not in THERE:
        names = ", ".join([*THERE, *LATER])
        return _complain(f"There is no bench named {only}. There are: {names}.")
    console = Console(stderr=True)
    options = Options(
        console, chain, orders, mib, repeats, seed, backlog, transactions, facts, period
    )
    for name in [only] if only else THERE:
        _run(name, options)
    return 0


def _run(name: str, options: Options) -> None:
    options.console.rule(f"bench {name}")
    bench = importlib.import_module(THERE[name])
    results: list[Result] = asyncio.run(bench.measure(options))
    file = report.write(report.make(name, results))
    report.show(report.output(), name, results)
    options.console.print(f"[dim]written: {file}[/]")


def command_line() -> int:
    """Run the command line; return its exit code."""
    try:
        code = app(exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return WRONG_USE
    except errors.ConfigError as exc:  # also a node's program that is missing
        return _complain(str(exc))
    except errors.LedgerError as exc:
        return _complain(str(exc), FAILED)
    except TimeoutError:
        return _complain(f"Something did not come in time; the logs are below {WORK}.", FAILED)
    except KeyboardInterrupt:
        return 130
    return int(code or 0)


def _complain(why: str, code: int = WRONG_USE) -> int:
    Console(stderr=True, soft_wrap=True).print(why, markup=False, highlight=False)
    return code


if __name__ == "__main__":
    sys.exit(command_line())
