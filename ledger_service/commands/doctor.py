"""`mol doctor`: what is reachable, what lags, what is wrong, what to do."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import partial

import httpx
import uvloop
from cyclopts import App
from rich.console import Console

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import load_keystore
from ledger_service.commands.given import existing_store
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json
from ledger_service.db.session import SqlStore
from ledger_service.domain import errors, ids
from ledger_service.wiring.service import load_plans, open_ledger

SLOW_HEAD_PERIODS = 10
CLOCK_SECONDS = 30
API_SECONDS = 3.0

app = App(
    name="doctor",
    help="""Examine the whole service: what is wrong, and what to do about it.

    Example: `mol doctor --config plant/mol.toml`
    """,
)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing looked at. `todo` says what to do, empty where nothing is."""

    name: str
    ok: bool
    text: str
    todo: str = ""


@app.default
def run(config_file: Config = None, *, json: Json = False) -> int:
    """Look at everything; exit 1 if something is wrong."""
    findings = uvloop.run(_examine(config.load(config_file)))
    if json:
        as_json([asdict(item) for item in findings])
    else:
        console = Console()
        for item in findings:
            mark = "[green]ok  [/]" if item.ok else "[red]BAD [/]"
            console.print(f"{mark} {item.name:12} {item.text}", highlight=False)
            if item.todo:
                console.print(f"       {'':12} -> {item.todo}", highlight=False)
    return 0 if all(item.ok for item in findings) else 1


async def _examine(settings: config.Settings) -> list[Finding]:
    findings = [await _look("job plans", "mend the file", lambda: _plans(settings))]
    findings.append(await _look("builder key", "see docs/operations.md", lambda: _key(settings)))
    ledger = open_ledger(settings)
    try:
        advice = "start the nodes, or correct network.json"
        findings.append(await _look("chain", advice, lambda: _chain(ledger)))
        findings.append(
            await _look(
                "builder",
                "`mol key prove --builder`, then `mol motion propose AddBuilder`",
                lambda: _builder(settings, ledger),
            )
        )
        for asset in settings.orders.assets:
            advice = "pass a motion RegisterVersion"
            findings.append(await _look(asset, advice, partial(_asset, ledger, asset)))
        async with existing_store(settings) as store:
            findings += await _database(store, ledger)
    except errors.StorageError as exc:
        findings.append(Finding("database", ok=False, text=str(exc), todo="start the database"))
    except errors.ConfigError as exc:
        findings.append(Finding("database", ok=False, text=str(exc), todo="start it: `mol up`"))
    finally:
        await ledger.close()
    findings.append(await _look("api", "start it: `mol up`", lambda: _api(settings)))
    return findings


async def _look(name: str, todo: str, examine: Callable[[], Awaitable[str]]) -> Finding:
    try:
        return Finding(name, ok=True, text=await examine())
    except (errors.LedgerError, httpx.HTTPError, OSError) as exc:
        return Finding(name, ok=False, text=str(exc) or repr(exc), todo=todo)


async def _plans(settings: config.Settings) -> str:
    folder = settings.path(settings.orders.job_plans)
    load_plans(folder)
    return f"{len(list(folder.glob('*.yaml')))} in {folder}"


async def _key(settings: config.Settings) -> str:
    builder = settings.builder
    signer = load_keystore(settings.path(builder.keystore), settings.path(builder.password_file))
    return ids.checksum(signer.address)


async def _chain(ledger: ChainLedger) -> str:
    await ledger.check()
    head = await ledger.head()
    age = time.time() - head.time
    period = ledger.settings.period
    if period and age > SLOW_HEAD_PERIODS * period + CLOCK_SECONDS:
        raise errors.NodeFailed("No new block.", age=f"{age:.0f} s", period=f"{period} s")
    return f"{ledger.settings.kind}, chain id {ledger.settings.chain_id}, block {head.number}"


async def _builder(settings: config.Settings, ledger: ChainLedger) -> str:
    builder = settings.builder
    signer = load_keystore(settings.path(builder.keystore), settings.path(builder.password_file))
    if not await ledger.is_builder(signer.address):
        raise errors.Forbidden("The key is not a registered builder.")
    return "registered"


async def _asset(ledger: ChainLedger, asset: str) -> str:
    version = await ledger.current_version(ids.asset_id(asset))
    if version is None:
        raise errors.UnknownAsset(found=asset)
    return f"seats {', '.join(map(str, version.seats))}, host {version.host}"


async def _database(store: SqlStore, ledger: ChainLedger) -> list[Finding]:
    async with store.reading() as rows:
        cursor, counts = await rows.chain.cursor(), await rows.outbox.counts()
        waiting, now = await rows.evidence.waiting(), datetime.now(UTC)
    findings = [Finding("database", ok=True, text=f"{waiting} waiting at {now:%H:%M:%S}")]
    findings.append(await look_at_sending(store))
    blocked = {name: n for (name, state), n in counts.items() if state == "blocked" and n}
    findings.append(
        Finding(
            "outbox",
            ok=not blocked,
            text=f"blocked: {blocked}" if blocked else "nothing is blocked",
            todo="`mol order show`, mend the cause, `mol relay retry DESTINATION`" * bool(blocked),
        )
    )
    try:
        lag = (
            (await ledger.head()).number - ledger.finality_depth - (cursor.number if cursor else 0)
        )
    except errors.ChainError:
        return findings
    late = lag > SLOW_HEAD_PERIODS
    todo = "is `mol up` or `mol follow` running?" if late else ""
    findings.append(
        Finding("watcher", ok=not late, text=f"{max(lag, 0)} block(s) behind", todo=todo)
    )
    return findings


async def look_at_sending(store: ports.Store) -> Finding:
    """Say whether every node refuses a transaction; all that its key signs later waits behind it."""
    async with store.reading() as rows:
        refused = await rows.outgoing.refused()
    if not refused:
        return Finding("sending", ok=True, text="no node refuses a transaction")
    first = refused[0]
    return Finding(
        "sending",
        ok=False,
        text=f"{len(refused)} refused by every node; {first.key[:20]} since {first.refused_at}",
        todo="raise `feePolicy` in network.json and restart; or look at the nodes' permissions and limits",
    )


async def _api(settings: config.Settings) -> str:
    async with httpx.AsyncClient(timeout=API_SECONDS) as client:
        answer = await client.get(f"{settings.base_url}/health/ready")
    if answer.is_error:
        raise errors.StorageError("The API is not ready.", found=answer.text[:200])
    return f"{settings.base_url} ready"
