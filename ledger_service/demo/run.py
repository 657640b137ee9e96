"""The demo's story: a plant from nothing, evidence in, every order watched to the end expected."""

from __future__ import annotations

import asyncio
import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from edge.evidence import bundle, send
from ledger_service.demo import claims as claiming
from ledger_service.demo import configs, journeys, plant, report
from ledger_service.demo.claims import Claim, Gathered, Judged
from ledger_service.demo.journeys import Journey
from ledger_service.demo.plant import Built
from ledger_service.demo.site import Site
from ledger_service.demo.supervisor import Supervisor
from ledger_service.domain import errors
from validators.network.binaries import find_qbft
from validators.network.files import Kind

DEFAULT_ORDERS = 6
MARKER = ".mol-demo"
BASE_SECONDS = 90.0
SECONDS_EACH = 6.0
WATCH_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Options:
    """What to run. `source`: a folder of datasets instead of the simulated robots."""

    kind: Kind
    out: Path
    orders: int | None = None
    source: Path | None = None
    serve: bool = False


async def run(options: Options, console: Console) -> dict[str, Any]:
    """Run it all; return the report, which is also written.

    Nothing of an earlier demo is touched before it is clear that this one can begin. Raise
    ConfigError where something is missing, NotAsExpected where an order does not end as expected,
    ProcessFailed.
    """
    began = time.monotonic()
    if options.kind == "qbft":
        await find_qbft(None)
    with TemporaryDirectory() as scratch:
        judged: Judged | None = None
        if options.source is not None:
            judged = await asyncio.to_thread(claiming.judge, options.source, Path(scratch))
        with demo_folder(options.out) as folder:
            site = Site(folder)
            gathered = _gather(options, site, judged)
            return await _run(options, site, gathered, console, began)


@contextmanager
def demo_folder(folder: Path) -> Iterator[Path]:
    """Empty the folder of an earlier demo, or take a new one, and hold it.

    Raise ConfigError for a folder that is not a demo's, and while another demo runs in it.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / MARKER).exists():
        raise errors.ConfigError(
            "This folder is not empty and not a demo's; name another with --out.", found=folder
        )
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / MARKER).open("ab") as held:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            raise errors.ConfigError(
                "A demo runs in this folder; stop it, or name another with --out.", found=folder
            ) from exc
        for old in folder.iterdir():
            if old.name != MARKER:
                shutil.rmtree(old) if old.is_dir() else old.unlink()
        yield folder.resolve()


def _gather(options: Options, site: Site, judged: Judged | None) -> Gathered:
    if judged is not None:
        return claiming.brought(site, judged, options.orders)
    return claiming.simulated(site, options.orders or DEFAULT_ORDERS, datetime.now(UTC))


async def _run(
    options: Options, site: Site, gathered: Gathered, console: Console, began: float
) -> dict[str, Any]:
    _tell_gathered(console, gathered)
    async with Supervisor() as supervisor:
        built = await _build(site, options.kind, gathered, supervisor, console)
        try:
            watched = await _post_and_watch(built, gathered, supervisor, console)
        except BaseExceptionGroup as failed:  # the first of them ended the others
            raise failed.exceptions[0] from None
        made = _finish(built, watched, gathered, console)
        console.print(f"[bold]done in {time.monotonic() - began:.1f} s[/]")
        if options.serve:
            report.show_logins(console, built)
            await _until_interrupted(supervisor)
            console.print(f"stopped; everything stays in {site.root}")
    return made


async def _build(
    site: Site, kind: Kind, gathered: Gathered, supervisor: Supervisor, console: Console
) -> Built:
    machines = claiming.machines(site, gathered.claims)
    detectors = claiming.keep_models(site, gathered.claims)

    def say(text: str) -> None:
        console.print(f"[dim]{text}[/]")

    built = await plant.build(site, kind, machines, detectors, supervisor, say)
    await plant.start_parties(built, supervisor)
    say(f"service and three agents run; API at {built.base_url}")
    return built


async def _post_and_watch(
    built: Built, gathered: Gathered, supervisor: Supervisor, console: Console
) -> list[Journey]:
    token = built.site.token("operator").read_text(encoding="utf-8").strip()
    seconds = BASE_SECONDS + SECONDS_EACH * len(gathered.claims)
    watched: list[Journey] = []

    def tell(journey: Journey) -> None:
        reason = journey.tracker.get("reason") or ""
        who = f"{journey.asset:16} {journey.title:16}"
        console.print(f"{datetime.now(UTC):%H:%M:%S}  {who} {journey.state} {reason}")

    async with send.Service(built.base_url, token).client() as client, asyncio.TaskGroup() as group:
        guard = group.create_task(_guard(supervisor))
        for claim in gathered.claims:
            packed = await asyncio.to_thread(claiming.seal, built.site, claim, datetime.now(UTC))
            watched.append(_journey(packed))
            with bundle.read(packed.file) as opened:
                await send.send(client, opened)
            tell(watched[-1])
        await journeys.watch(client, watched, tell, seconds=seconds)
        guard.cancel()
    return watched


def _journey(packed: claiming.Packed) -> Journey:
    claim: Claim = packed.claim
    return Journey(
        evidence=packed.evidence.hex(),
        title=claim.title,
        asset=claim.asset,
        expected=claim.expected,
        claimed=packed.score,
        posted=time.time(),
    )


def _finish(
    built: Built, watched: list[Journey], gathered: Gathered, console: Console
) -> dict[str, Any]:
    made = report.make(built.network, watched)
    made |= {"quiet": list(gathered.quiet), "leftOut": list(gathered.left_out)}
    configs.write_json(built.site.report, made)
    report.show(console, made, watched)
    report.show_places(console, built.site, built.network, built.site.report)
    journeys.check(watched)
    report.check_approvals(watched)
    return made


def _tell_gathered(console: Console, gathered: Gathered) -> None:
    for name in gathered.left_out:
        console.print(f"[dim]left out  {name}[/]")
    if gathered.quiet:
        console.print(f"no alarm, so no order: {', '.join(gathered.quiet)}")
    console.print(f"{len(gathered.claims)} dataset(s) to be sealed")


async def _guard(supervisor: Supervisor) -> None:
    """Fail as soon as a process is given up; nobody should wait for what cannot come."""
    while True:
        supervisor.check()
        await asyncio.sleep(WATCH_SECONDS)


async def _until_interrupted(supervisor: Supervisor) -> None:
    try:
        await _guard(supervisor)
    except asyncio.CancelledError:
        return  # a signal ends the stack in order
