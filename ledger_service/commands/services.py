"""`mol up`, `mol api`, `mol anchor`, `mol follow`: the long-running service, whole or in parts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, Parameter

from ledger_service import settings as config
from ledger_service.commands.given import existing_store
from ledger_service.domain import ids
from ledger_service.domain.facts import Dispute
from ledger_service.services import dispute
from ledger_service.wiring import running

Config = Annotated[
    Path | None,
    Parameter(name=["--config", "-c"], help="mol.toml; default: $MOL_CONFIG, then ./mol.toml."),
]

up = App(
    name="up",
    help="""Run every long-running part of the service in this process, until SIGTERM.

    Example: `mol up --config plant/mol.toml`
    """,
)
api = App(
    name="api",
    help="""Run the HTTP API alone.

    Example: `mol api --config plant/mol.toml`
    """,
)
anchor = App(
    name="anchor",
    help="""Run the anchor alone, or look at the transactions it sends and help them on.

    Without a command it runs until SIGTERM. `mol anchor status` shows what is stored and in no
    final block yet; `mol anchor cancel 17` gives up the one with nonce 17, if it is stuck.
    """,
)
anchor.command(
    "ledger_service.commands.transactions:status",
    name="status",
    help="Show the transactions that are stored and in no final block yet, by nonce.",
)
anchor.command(
    "ledger_service.commands.transactions:cancel",
    name="cancel",
    help="Use a stuck transaction's nonce for nothing, at higher fees: it fails, if not mined first.",
)
follow = App(
    name="follow",
    help="""Run the watcher alone: final blocks in, deliveries out.

    Example: `mol follow --config plant/mol.toml`. Where nodes have two final blocks at one height it
    stops; `mol doctor` shows both, and `mol follow accept HASH` says which of them is right.
    """,
)


@up.default
def run_all(config_file: Config = None) -> None:
    """Run API, anchor, watcher and relays."""
    run(config_file, running.ALL)


@api.default
def run_api(config_file: Config = None) -> None:
    """Run the API."""
    run(config_file, ("api",))


@anchor.default
def run_anchor(config_file: Config = None) -> None:
    """Run the anchor."""
    run(config_file, ("anchor",))


@follow.default
def run_follow(config_file: Config = None) -> None:
    """Run the watcher."""
    run(config_file, ("follow",))


@follow.command
def accept(block: str, config_file: Config = None) -> None:
    """Say which of two final blocks is right, by its hash; nodes with another one are asked no more."""

    async def settle() -> Dispute:
        async with existing_store(config.load(config_file)) as store:
            return await dispute.accept(store, ids.BlockHash(ids.parse32(block)))

    settled = uvloop.run(settle())
    print(f"block {settled.number}: {block} is accepted; following goes on")


def run(config_file: Path | None, parts: tuple[str, ...]) -> None:
    """Run parts of the service. Raise ConfigError before anything is started."""
    uvloop.run(running.run(config.load(config_file), parts))
