"""`mol relay`: the relays as a process, and the outbox by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

import uvloop
from cyclopts import App

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.commands.given import existing_store, order_of
from ledger_service.commands.services import Config, run
from ledger_service.commands.show import Json, as_json, table
from ledger_service.domain import errors

T = TypeVar("T")

app = App(
    name="relay",
    help="""Run the relays alone, or look at the outbox and help it on.

    Without a command it runs until SIGTERM. `mol relay status` shows each destination;
    `mol relay retry erp` brings what was refused back at once.
    """,
)


@app.default
def run_relay(config_file: Config = None) -> None:
    """Run the relays to all destinations."""
    run(config_file, ("relay",))


@app.command
def status(config_file: Config = None, *, json: Json = False) -> None:
    """Show how many deliveries are pending, done and blocked per destination."""

    async def ask(rows: ports.Transaction) -> list[dict[str, object]]:
        counts, paused = await rows.outbox.counts(), await rows.outbox.paused()
        names = sorted({name for name, _ in counts} | paused)
        states = ("pending", "done", "blocked")
        return [
            {
                "destination": name,
                **{state: counts.get((name, state), 0) for state in states},
                "paused": name in paused,
            }
            for name in names
        ]

    found = _with_rows(config_file, ask)
    if json:
        as_json(found)
    else:
        columns = ("destination", "pending", "done", "blocked", "paused")
        table("Outbox", columns, [[row[name] for name in columns] for row in found])


@app.command
def retry(destination: str, delivery: str | None = None, config_file: Config = None) -> None:
    """Make blocked and waiting deliveries (or one, by its id) due again at once."""

    async def release(rows: ports.Transaction) -> int:
        return await rows.outbox.release(_known(config_file, destination), delivery)

    print(f"{_with_rows(config_file, release)} due again")


@app.command
def replay(destination: str, order: str, config_file: Config = None) -> None:
    """Deliver an order's facts to a destination once more; it recognises what it already has."""
    wanted = order_of(order).hex()

    async def again(rows: ports.Transaction) -> int:
        return await rows.outbox.replay(_known(config_file, destination), wanted)

    count = _with_rows(config_file, again)
    if not count:
        raise errors.NotFound("No delivery of this order.", order=order, destination=destination)
    print(f"{count} due again")


@app.command
def pause(destination: str, config_file: Config = None) -> None:
    """Stop deliveries to a destination, until `resume`, also across restarts."""
    _set_paused(config_file, destination, paused=True)


@app.command
def resume(destination: str, config_file: Config = None) -> None:
    """Let deliveries to a destination go on."""
    _set_paused(config_file, destination, paused=False)


def _set_paused(config_file: Config, destination: str, *, paused: bool) -> None:
    async def put(rows: ports.Transaction) -> None:
        await rows.outbox.pause(_known(config_file, destination), paused)

    _with_rows(config_file, put)
    print(f"{destination} {'paused' if paused else 'resumed'}")


def _known(config_file: Config, destination: str) -> str:
    names = type(config.load(config_file).destinations).model_fields
    if destination not in names:
        raise errors.ConfigError("No such destination.", found=destination, expected=list(names))
    return destination


def _with_rows(config_file: Config, work: Callable[[ports.Transaction], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with existing_store(config.load(config_file)) as store, store.transaction() as rows:
            return await work(rows)

    return uvloop.run(opened())
