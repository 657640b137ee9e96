"""`mol restore`: bring a backup back; the service then catches up from the chain by itself."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, Parameter

from ledger_service import settings as config
from ledger_service.commands.backup import Named, bars
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json, table
from ledger_service.storage import copies
from ledger_service.wiring.restore import End, Restored, Wanted, bring_back

app = App(
    name="restore",
    help="""Bring a backup back.

    Into the database and the object store that mol.toml names, of whatever kind they are. All of the copy is checked before anything
    is touched; nothing is overwritten unless told; a service must not run on them meanwhile.

    Example: `mol restore /mnt/safe/plant-1`
    """,
)


@app.default
def restore(
    folder: Path,
    config_file: Config = None,
    *,
    copy: Named = "",
    replace: Annotated[
        bool,
        Parameter(
            negative="",
            help="Also where there is something: a SQLite file is kept under another name, the service's tables in PostgreSQL are dropped, objects are added to.",
        ),
    ] = False,
    revoke_tokens: Annotated[
        bool, Parameter(negative="", help="End all API tokens of the copy; make new ones then.")
    ] = False,
    allow_missing: Annotated[
        bool,
        Parameter(
            negative="", help="Bring it back even if some of its objects rotted; they are listed."
        ),
    ] = False,
    json: Json = False,
) -> None:
    """Bring the newest copy of a folder back, or the one named."""
    settings = config.load(config_file)
    with copies.reading(folder, copy) as found, bars() as progress:
        wanted = Wanted(replace=replace, revoke_tokens=revoke_tokens, allow_missing=allow_missing)
        restored = uvloop.run(bring_back(settings, found, wanted, progress))
    if json:
        as_json(_told(found, restored))
    else:
        _show(found, restored)


def _told(copy: copies.Copy, restored: Restored) -> dict[str, object]:
    return {
        "copy": copy.name,
        "madeAt": copy.manifest.made_at.isoformat(),
        "block": copy.manifest.cursor.number if copy.manifest.cursor else None,
        "blockSeen": restored.end is End.SEEN,
        "blockAbandoned": restored.end is End.ABANDONED,
        "newObjects": restored.copied.new,
        "missing": copy.manifest.missing,
        "damaged": restored.copied.missing,
        "tokens": [asdict(item) for item in restored.tokens],
    }


def _show(copy: copies.Copy, restored: Restored) -> None:
    print(f"restored {copy.name}, made at {copy.manifest.made_at:%Y-%m-%d %H:%M:%S} UTC")
    if restored.end is End.UNKNOWN:
        print("no node could say whether the chain has its last block", file=sys.stderr)
    if restored.end is End.ABANDONED:
        text = "the chain has another block where it ends: the service goes back by itself"
        print(text, file=sys.stderr)
    for key in copy.manifest.missing:
        print(f"was missing when it was made: {key}", file=sys.stderr)
    for key in restored.copied.missing:
        print(f"damaged, and not brought back: {key}", file=sys.stderr)
    names = ("id", "role", "subject", "created")
    rows = [(it.id, it.role, it.subject, it.created_at) for it in restored.tokens]
    table("Tokens that open it: revoke what was revoked since (mol token revoke)", names, rows)
    print("start the service; what the chain has since is taken in by itself, then `mol doctor`")
