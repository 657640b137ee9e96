"""`mol config`: what the settings are, and what is wrong with them."""

from __future__ import annotations

from cyclopts import App

from ledger_service import settings as config
from ledger_service.chain.keys import load_keystore
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json
from ledger_service.wiring.service import load_plans, open_ledger

app = App(
    name="config",
    help="""Explain the settings: mol.toml and MOL_* in the environment, which wins.

    Nested names join with two underscores: `MOL_API__PORT=8080`.
    Example: `mol config check --config plant/mol.toml`
    """,
)


@app.command
def check(config_file: Config = None, *, json: Json = False) -> None:
    """Read everything that the settings name: files, keys, job plans. Exit 2 if something is wrong."""
    settings = config.load(config_file)
    signer = load_keystore(
        settings.path(settings.builder.keystore), settings.path(settings.builder.password_file)
    )
    load_plans(settings.path(settings.orders.job_plans))
    ledger = open_ledger(settings)
    found = {
        "settings": "ok",
        "address": settings.base_url,
        "builder": "0x" + signer.address.hex(),
        "chain": {"kind": ledger.settings.kind, "chainId": ledger.settings.chain_id},
        "assets": sorted(settings.orders.assets),
    }
    if json:
        as_json(found)
        return
    for name, value in found.items():
        print(f"{name:10} {value}")


@app.command
def show(config_file: Config = None) -> None:
    """Print the settings in force, as JSON. There are no secrets in them, only names of files."""
    as_json(config.load(config_file).model_dump(mode="json"))
