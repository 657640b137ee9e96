"""`mol order`: single orders by hand."""

from __future__ import annotations

import hashlib
import json as json_library
from pathlib import Path
from typing import Annotated, Any, Literal

import uvloop
from cyclopts import App, Parameter

from ledger_service import settings as config
from ledger_service.chain import binding
from ledger_service.chain.client import ChainLedger
from ledger_service.commands import order_view as view
from ledger_service.commands.given import digits_of, existing_store, find_order
from ledger_service.commands.keys import Keystore, Place
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json
from ledger_service.domain import errors, ids
from ledger_service.domain.calls import Call, Cancel, Complete, Escalate
from ledger_service.domain.lifecycle import Outcome, Status
from ledger_service.domain.order import Content, order_id
from ledger_service.services.track import OrderView, Track
from ledger_service.wiring.service import open_service

Id = Annotated[str, Parameter(help="The order's id, or its first digits if they are enough.")]
OutcomeName = Literal["cured", "not-cured", "false-alarm", "not-carried-out"]

app = App(
    name="order",
    help="""Look at orders, and move single ones by hand.

    `list`, `show` and `withdraw` work on the service's own database and key (mol.toml); `cancel`,
    `emergency` and `complete` sign with an organisation's key, given as a keystore.
    Example: `mol order list --status Validated`, then `mol order show ORDER`.
    """,
)


@app.command(name="list")
def list_(
    config_file: Config = None, *, status: str | None = None, limit: int = 50, json: Json = False
) -> None:
    """List orders, the newest first; `--status Validated` for those alone.

    Ids are shown by their first digits, which the other commands take; `--json` has them whole.
    """
    wanted = _status(status)
    orders = uvloop.run(_list(config.load(config_file), wanted, limit))
    found = [view.summary(order) for order in orders]
    if json:
        as_json(found)
    else:
        view.print_list(found)


@app.command
def show(order: Id, config_file: Config = None, *, json: Json = False) -> None:
    """Show an order: document, approvals, facts of the chain, deliveries."""
    found = view.whole(uvloop.run(_view(config.load(config_file), digits_of(order))))
    if json:
        as_json(found)
    else:
        view.print_order(found)


@app.command
def export(order: Id, file: Path, config_file: Config = None) -> None:
    """Write an order's content to a file, for `cancel`, `emergency` and `complete` elsewhere."""
    found = uvloop.run(_view(config.load(config_file), digits_of(order)))
    text = json_library.dumps(found.order.content.as_json(), indent=2)
    file.write_text(text + "\n", encoding="utf-8")
    print(f"written to {file}")


@app.command
def withdraw(order: Id, config_file: Config = None) -> None:
    """Take an open order back, with the builder's key of mol.toml."""
    uvloop.run(_withdraw(config.load(config_file), digits_of(order)))
    print("sent; `mol order show` says when it is final")


@app.command
def cancel(content: Path, *, key: Keystore, place: Place | None = None) -> None:
    """Vote to cancel a validated order; it is cancelled when every seat has voted.

    Parameters
    ----------
    content:
        The order's content, as `mol order export` writes it.
    """
    uvloop.run(_sign(content, key, place or Place(), "cancel"))


@app.command
def emergency(content: Path, *, reason: str, key: Keystore, place: Place | None = None) -> None:
    """Make an open order an emergency: it acts at once and is to be ratified by all.

    The evidence is posted and the order proposed first; an emergency from nothing is not made here.

    Parameters
    ----------
    content:
        The order's content, as `mol order export` writes it.
    reason:
        Why; its SHA-256 goes on chain. The key is the safety authority's governance key.
    """
    uvloop.run(_sign(content, key, place or Place(), "emergency", reason=reason.encode()))


@app.command
def complete(
    content: Path,
    *,
    outcome: OutcomeName,
    report: Path,
    key: Keystore,
    place: Place | None = None,
) -> None:
    """Say what came of the work, with the host's verdict key.

    Parameters
    ----------
    content:
        The order's content, as `mol order export` writes it.
    outcome:
        What came of it.
    report:
        The close-out report; its SHA-256 goes on chain.
    """
    word, text = Outcome[outcome.replace("-", "_").upper()], report.read_bytes()
    uvloop.run(_sign(content, key, place or Place(), "complete", outcome=word, reason=text))


async def _sign(
    file: Path,
    key: Keystore,
    place: Place,
    verb: str,
    *,
    reason: bytes = b"",
    outcome: Outcome = Outcome.CURED,
) -> None:
    content, signer = _content(file), key.open()
    async with place.open() as ledger, place.account(signer) as account:
        call = await _call(ledger, signer.address, content, verb, reason, outcome)
        await ledger.simulate(call, signer.address)
        receipt = await account.wait(
            await account.send(
                ledger.deployment.orders, binding.encode(call), gas=binding.gas_limit(call)
            )
        )
        word = await ledger.word(order_id(content, ledger.orders))
    print(f"block {int(receipt['blockNumber'], 16)}: the order is {word.status.title}")


async def _call(
    ledger: ChainLedger,
    key: ids.Address,
    content: Content,
    verb: str,
    reason: bytes,
    outcome: Outcome,
) -> Call:
    if verb == "emergency":
        return Escalate(content, hashlib.sha256(reason).digest())
    if verb == "complete":
        return Complete(content, outcome, hashlib.sha256(reason).digest())
    version = await ledger.version(content.asset_version)
    organisation = await ledger.organisation_of(key)
    if version is None or organisation not in version.seats:
        raise errors.Forbidden(
            "The key has no seat.", found=organisation, expected=version and version.seats
        )
    return Cancel(content, version.seats.index(organisation))


async def _list(settings: config.Settings, status: Status | None, limit: int) -> list[Any]:
    async with existing_store(settings) as store:
        return list(await Track(store).orders(limit=limit, status=status))


async def _view(settings: config.Settings, digits: str) -> OrderView:
    async with existing_store(settings) as store:
        return await Track(store).order(await find_order(store, digits))


async def _withdraw(settings: config.Settings, digits: str) -> None:
    async with existing_store(settings) as store:
        order = await find_order(store, digits)
    async with open_service(settings) as service:
        await service.close.withdraw(order)


def _content(file: Path) -> Content:
    try:
        return Content.from_json(json_library.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, KeyError, TypeError) as exc:
        raise errors.ConfigError(
            "Not an order's content; `mol order export` writes it.", file=file
        ) from exc


def _status(name: str | None) -> Status | None:
    if name is None:
        return None
    try:
        return Status[name.upper()]
    except KeyError as exc:
        known = [status.title for status in Status if status]
        raise errors.ConfigError("No such status.", found=name, expected=known) from exc
