"""`mol anchor status`, `mol anchor cancel`: the transactions that the anchor sends, by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import uvloop

from ledger_service import settings as config
from ledger_service.chain.keys import load_keystore
from ledger_service.clock import SystemClock
from ledger_service.commands.given import existing_store
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json, table
from ledger_service.domain.calls import Sent
from ledger_service.domain.records import Outgoing
from ledger_service.services.send import Sender
from ledger_service.wiring.service import open_ledger


def status(config_file: Config = None, *, json: Json = False) -> None:
    """Show the transactions that are stored and in no final block yet, by nonce."""
    found = [_row(item) for item in uvloop.run(_unfinished(config.load(config_file)))]
    if json:
        as_json(found)
    else:
        columns = ("nonce", "purpose", "orders", "stored", "sends", "refused", "void")
        table("Transactions", columns, [[row[name] for name in columns] for row in found])


def cancel(nonce: int, config_file: Config = None) -> None:
    """Use a transaction's nonce for nothing, at higher fees; its orders fail and may be tried again.

    Whichever of the two is mined first ends it: it may still have its effect.
    """
    outcome = uvloop.run(_cancel(config.load(config_file), nonce))
    told = {
        Sent.ACCEPTED: "given to the nodes",
        Sent.UNDERPRICED: "stored; a node holds the first bytes and takes no others at these fees",
    }
    print(f"{nonce}: {told.get(outcome, f'stored, to be sent again: {outcome.value}')}")


async def _unfinished(settings: config.Settings) -> Sequence[Outgoing]:
    async with existing_store(settings) as store, store.reading() as rows:
        return await rows.outgoing.overdue(datetime.now(UTC))


async def _cancel(settings: config.Settings, nonce: int) -> Sent:
    builder = settings.builder
    signer = load_keystore(settings.path(builder.keystore), settings.path(builder.password_file))
    ledger = open_ledger(settings)
    try:
        async with existing_store(settings) as store:
            return await Sender(store, ledger, signer, SystemClock()).cancel(nonce)
    finally:
        await ledger.close()


def _row(item: Outgoing) -> dict[str, object]:
    return {
        "nonce": item.nonce,
        "purpose": item.key,
        "orders": len(item.orders),
        "stored": item.created_at.isoformat(timespec="seconds"),
        "sends": item.sends,
        "refused": item.refused_at.isoformat(timespec="seconds") if item.refused_at else "",
        "void": item.void,
        "hash": item.hash.hex(),
    }
