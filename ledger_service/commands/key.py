"""`mol key`: keys that sign transactions, as encrypted keystores."""

from __future__ import annotations

from pathlib import Path

from cyclopts import App

from ledger_service.chain.keys import make_keystore
from ledger_service.commands.keys import Keystore
from ledger_service.domain import ids

app = App(
    name="key",
    help="""Make keys that sign on chain: verdict, governance, recovery, builder, deployer.

    Each is a keystore (Web3 Secret Storage) with its password beside it, ending in .password, both
    readable by their owner alone. Keep governance and recovery keys off machines that run.
    Example: `mol key new keys/factory-verdict.json`
    """,
)


@app.command
def new(*files: Path) -> None:
    """Make one key per file; print the addresses. An existing key is never overwritten."""
    for file in files:
        print(f"{ids.checksum(make_keystore(file))}  {file}")


@app.command
def show(key: Keystore) -> None:
    """Print a keystore's address, proving that its password opens it."""
    print(ids.checksum(key.open().address))
