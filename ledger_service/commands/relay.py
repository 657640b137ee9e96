"""`mol relay`: the relays as a process, and the outbox by hand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

import uvloop
from cyclopts import App, Parameter

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.commands.given import digits_of, existing_store, find_order
from ledger_service.commands.outbox_view import print_standing, standing
from ledger_service.commands.services import Config, run
from ledger_service.commands.show import Json, as_json
from ledger_service.domain import errors
from ledger_service.services.relay import give_up

T = TypeVar("T")


def _not_blank(_: object, value: str) -> None:
    if not value.strip():
        raise ValueError("say why")


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
    """Show each destination: what is pending, done, blocked and dead, and whether it answers."""

    async def ask(_: ports.Store, rows: ports.Transaction) -> list[dict[str, Any]]:
        return await standing(rows, datetime.now(UTC))

    found = _with_rows(config_file, ask)
    if json:
        as_json(found)
    else:
        print_standing(found)


@app.command
def retry(destination: str, delivery: str | None = None, config_file: Config = None) -> None:
    """Make blocked and waiting deliveries (or one, by its id) due again at once."""
    name = _known(config_file, destination)

    async def release(_: ports.Store, rows: ports.Transaction) -> int:
        await rows.circuits.drop(name)
        return await rows.outbox.release(name, delivery)

    print(f"{_with_rows(config_file, release)} due again")


@app.command
def replay(destination: str, order: str, config_file: Config = None) -> None:
    """Deliver an order's facts to a destination once more; it recognises what it already has.

    The order's first digits are enough. Payloads that were pruned (`relay.keep_days`) cannot come again.
    """
    name, digits = _known(config_file, destination), digits_of(order)

    async def again(store: ports.Store, rows: ports.Transaction) -> tuple[int, int]:
        key = (await find_order(store, digits)).hex()
        own = [item for item in await rows.outbox.of_order(key) if item.destination == name]
        return await rows.outbox.replay(name, key), len(own)

    count, known = _with_rows(config_file, again)
    if not count:
        why = "They were pruned." if known else "No delivery of this order."
        raise errors.NotFound(why, order=order, destination=destination)
    print(f"{count} due again" + f", {known - count} were pruned" * (known > count))


@app.command(name="give-up")
def give_up_one(
    destination: str,
    delivery: str,
    *,
    reason: Annotated[str, Parameter(validator=_not_blank)],
    config_file: Config = None,
) -> None:
    """End one delivery that is blocked or waits: it is never sent, later facts of its order go on.

    The reason is kept, and shown in the evidence's journey. `mol relay replay` brings it back.

    Example: `mol relay give-up erp ID --reason "ordered by telephone"`, ID from `mol relay status`
    """
    name = _known(config_file, destination)

    async def end(_: ports.Store, rows: ports.Transaction) -> None:
        await give_up(rows, name, delivery, reason.strip(), datetime.now(UTC))

    _with_rows(config_file, end)
    print(f"given up: {delivery}")


@app.command
def pause(destination: str, config_file: Config = None) -> None:
    """Stop deliveries to a destination, until `resume`, also across restarts."""
    _set_paused(config_file, destination, paused=True)


@app.command
def resume(destination: str, config_file: Config = None) -> None:
    """Let deliveries to a destination go on."""
    _set_paused(config_file, destination, paused=False)


def _set_paused(config_file: Config, destination: str, *, paused: bool) -> None:
    async def put(_: ports.Store, rows: ports.Transaction) -> None:
        await rows.outbox.pause(_known(config_file, destination), paused)

    _with_rows(config_file, put)
    print(f"{destination} {'paused' if paused else 'resumed'}")


def _known(config_file: Config, destination: str) -> str:
    names = type(config.load(config_file).destinations).model_fields
    if destination not in names:
        raise errors.ConfigError("No such destination.", found=destination, expected=list(names))
    return destination


def _with_rows(
    config_file: Config, work: Callable[[ports.Store, ports.Transaction], Awaitable[T]]
) -> T:
    async def opened() -> T:
        async with existing_store(config.load(config_file)) as store, store.transaction() as rows:
            return await work(store, rows)

    return uvloop.run(opened())
