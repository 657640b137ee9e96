"""`mol doctor`: what is reachable, what lags, what is wrong, what to do."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from functools import partial

import uvloop
from cyclopts import App
from rich.console import Console
from rich.markup import escape

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.chain.client import ChainLedger
from ledger_service.chain.keys import load_keystore
from ledger_service.chain.muster import muster
from ledger_service.commands.disks import look_at_disks
from ledger_service.commands.findings import (
    Finding,
    in_words,
    look,
    look_at_api,
    look_behind,
    not_examined,
)
from ledger_service.commands.given import existing_store
from ledger_service.commands.node_view import look_at_disputes, look_at_heads
from ledger_service.commands.outbox_view import outbox_finding, standing
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json
from ledger_service.commands.waiting import look_at_waiting
from ledger_service.db.session import SqlStore
from ledger_service.domain import errors, ids
from ledger_service.services.send import STUCK_AFTER
from ledger_service.wiring.service import load_plans, open_ledger

SLOW_HEAD_PERIODS = 10
CLOCK_SECONDS = 30
API_SECONDS = 3.0
APART_SECONDS = 5  #: a third of a relay's lease

app = App(
    name="doctor",
    help="""Examine the whole service: what is wrong, and what to do about it.

    Example: `mol doctor --config plant/mol.toml`
    """,
)


#: How a finding begins: well, wrong, or not examined.
MARKS = {True: "[green]ok  [/]", False: "[red]BAD [/]", None: "[dim]--  [/]"}


@app.default
def run(config_file: Config = None, *, json: Json = False) -> int:
    """Look at everything; exit 1 if something is wrong."""
    findings = uvloop.run(_examine(config.load(config_file)))
    if json:
        as_json([asdict(item) for item in findings])
    else:
        console = Console()
        for item in findings:
            console.print(
                f"{MARKS[item.ok]} {item.name:12} {escape(item.text)}",
                highlight=False,
                soft_wrap=True,
            )
            if item.todo:
                console.print(
                    f"       {'':12} -> {escape(item.todo)}", highlight=False, soft_wrap=True
                )
    return 1 if any(item.ok is False for item in findings) else 0


async def _examine(settings: config.Settings) -> list[Finding]:
    findings = [await look("job plans", "mend the file", lambda: _plans(settings))]
    key = await look("builder key", _key_advice(settings), lambda: _key(settings))
    findings.append(key)
    ledger = open_ledger(settings)
    try:
        advice = "start the nodes, or correct network.json"
        chain = await look("chain", advice, lambda: _chain(ledger))
        findings += [chain, await _nodes(ledger), await look_at_heads(ledger)]
        findings += await _registered(settings, ledger, chain, key)
        async with existing_store(settings) as store:
            findings += await _database(store, ledger, chain)
            if key.ok:
                findings.append(await _lost(store, settings))
    except errors.StorageError as exc:
        findings.append(Finding("database", ok=False, text=str(exc), todo="start the database"))
    except errors.ConfigError as exc:
        findings.append(Finding("database", ok=False, text=str(exc), todo="start it: `mol up`"))
    finally:
        await ledger.close()
    findings.append(look_at_disks(settings))
    findings.append(await look_at_api(settings.base_url, API_SECONDS, chain))
    findings.append(Finding("agents", ok=None, text="each by its owner: `mol agent status`"))
    return findings


async def _registered(
    settings: config.Settings, ledger: ChainLedger, chain: Finding, key: Finding
) -> list[Finding]:
    """Look at what motions bring into the consortium: the builder's key and the machines."""
    advice = "`mol key prove --builder`, then `mol motion propose AddBuilder`"
    behind = chain if key.ok else key
    found = [await look_behind(behind, "builder", advice, lambda: _builder(settings, ledger))]
    for asset in settings.orders.assets:
        advice = "pass a motion RegisterVersion"
        found.append(await look_behind(chain, asset, advice, partial(_asset, ledger, asset)))
    return found


async def _plans(settings: config.Settings) -> str:
    folder = settings.path(settings.orders.job_plans)
    load_plans(folder)
    return f"{len(list(folder.glob('*.yaml')))} in {folder}"


def _key_advice(settings: config.Settings) -> str:
    keystore = settings.path(settings.builder.keystore)
    password = settings.path(settings.builder.password_file)
    if keystore.exists():
        return f"its password belongs into {password}, for its owner alone (chmod 600)"
    return f"`mol key new {keystore}` makes one, or correct `builder.keystore` in mol.toml"


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


async def _nodes(ledger: ChainLedger) -> Finding:
    """Say which nodes are down, and whether the chain can do without them."""
    found = await muster(ledger.settings)
    todo = f"start {', '.join(found.down)}; then all goes on by itself" if found.down else ""
    return Finding("nodes", ok=not found.down, text=found.text, todo=todo)


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


async def _database(store: SqlStore, ledger: ChainLedger, chain: Finding) -> list[Finding]:
    async with store.reading() as rows:
        now = datetime.now(UTC)
        cursor, outbox = await rows.chain.cursor(), await standing(rows, now)
        waiting = await rows.evidence.waiting()
    findings = [Finding("database", ok=True, text=f"{waiting} waiting at {now:%H:%M:%S}")]
    found = (await look_at_clock(store, partial(datetime.now, UTC)), await look_at_disputes(store))
    findings += [item for item in found if item is not None]
    findings.append(await look_at_sending(store, now))
    findings.append(outbox_finding(outbox))
    if not chain.ok:
        return [*findings, not_examined("watcher", chain), not_examined("orders", chain)]
    try:
        head = await ledger.head()
        waiting_orders = await look_at_waiting(store, ledger, now)
    except errors.ChainError as exc:  # it went away meanwhile
        return [*findings, Finding("watcher", ok=False, text=in_words(exc))]
    lag = head.number - ledger.finality_depth - (cursor.number if cursor else 0)
    return [*findings, _watcher(lag), *waiting_orders]


async def _lost(store: ports.Store, settings: config.Settings) -> Finding:
    """Say which orders of ours are on chain and not here, as after a restore from an older copy."""
    builder = settings.builder
    signer = load_keystore(settings.path(builder.keystore), settings.path(builder.password_file))
    async with store.reading() as rows:
        strays = await rows.chain.strays(signer.address, None)
    if not strays:
        return Finding("own orders", ok=True, text="all that are on chain are here")
    evidence = strays[0].content.evidence.hex()
    return Finding(
        "own orders",
        ok=False,
        text=f"{len(strays)} on chain are lost here, the first of evidence {evidence}",
        todo="post the evidence again (`mol evidence send FILE`): it brings its order back",
    )


def _watcher(lag: int) -> Finding:
    late = lag > SLOW_HEAD_PERIODS
    todo = "is `mol up` or `mol follow` running?" if late else ""
    return Finding("watcher", ok=not late, text=f"{max(lag, 0)} block(s) behind", todo=todo)


async def look_at_clock(store: SqlStore, now: Callable[[], datetime]) -> Finding | None:
    """Compare this machine's clock with the database's; None where that is the same one.

    A relay whose clock is a lease ahead takes from the others what they have in hand.
    """
    before = now()
    theirs = await store.clock()
    if theirs is None:
        return None
    apart = max(before - theirs, theirs - now(), timedelta(0))
    seconds = apart.total_seconds()
    return Finding(
        "clock",
        ok=seconds < APART_SECONDS,
        text=f"{seconds:.1f} s from the database's",
        todo=""
        if seconds < APART_SECONDS
        else "let one time service set the clocks of all machines",
    )


async def look_at_sending(store: ports.Store, now: datetime) -> Finding:
    """Say whether a transaction is refused by every node or stuck; all that its key signs later waits."""
    async with store.reading() as rows:
        refused = await rows.outgoing.refused()
        stuck = await rows.outgoing.overdue(now - STUCK_AFTER)
    if not refused and stuck:
        return Finding(
            "sending",
            ok=False,
            text=f"{len(stuck)} in no final block; nonce {stuck[0].nonce} since {stuck[0].created_at}",
            todo="does the chain make blocks? then `mol anchor status`, `mol anchor cancel NONCE`",
        )
    if not refused:
        return Finding("sending", ok=True, text="no node refuses a transaction, and none is stuck")
    first = refused[0]
    return Finding(
        "sending",
        ok=False,
        text=f"{len(refused)} refused by every node; {first.key[:20]} since {first.refused_at}",
        todo="raise `feePolicy` in network.json and restart; or look at the nodes' permissions and limits",
    )
