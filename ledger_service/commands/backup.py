"""`mol backup`: a consistent copy of database and objects, while the service runs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, Parameter
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn
from rich.progress import Progress as Bars

from ledger_service import settings as config
from ledger_service.commands.given import require_database
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json, table
from ledger_service.domain import errors
from ledger_service.domain.backup_errors import BackupDamaged
from ledger_service.storage import copies
from ledger_service.storage.copies import Copy
from ledger_service.wiring import backup
from ledger_service.wiring.backup import Progress

COPY_HELP = "Name of a copy (`mol backup list`); default: the newest."
Named = Annotated[str, Parameter(name="--copy", help=COPY_HELP)]

app = App(
    name="backup",
    help="""A consistent copy of database and objects.

    The service may go on meanwhile. The folder holds any number of copies; objects that an earlier one has are checked, and not copied again.
    Keys, passwords and settings are not in it: keep them elsewhere.

    Example: `mol backup /mnt/safe/plant-1`
    """,
)


@app.default
def make(
    folder: Path,
    config_file: Config = None,
    *,
    allow_missing: Annotated[
        bool, Parameter(negative="", help="Make it even if objects are lost; they are listed.")
    ] = False,
    json: Json = False,
) -> None:
    """Make a copy in a folder, which may be on another disk."""
    settings = config.load(config_file)
    require_database(settings)
    with bars() as progress:
        made, copied = uvloop.run(
            backup.make(settings, folder, progress, allow_missing=allow_missing)
        )
    told = {**_told(made), "newObjects": copied.new, "missing": list(copied.missing)}
    if json:
        as_json(told)
    else:
        print(f"{made.folder}: {_in_words(made)}, {copied.new} object(s) new in the folder")
        for key in copied.missing:
            print(f"missing: {key}", file=sys.stderr)


@app.command(name="list")
def list_(folder: Path, *, json: Json = False) -> None:
    """List the copies in a folder, the oldest first."""
    found = [_look(folder / name) for name in copies.listed(folder)]
    if json:
        as_json(found)
    else:
        names = ("copy", "madeAt", "block", "evidence", "orders", "objects", "state")
        rows = [[row.get(name, "") for name in names] for row in found]
        table("Copies", names, rows, whole=("copy",))


@app.command
def verify(folder: Path, *, copy: Named = "", json: Json = False) -> None:
    """Read a whole copy and compare it with what its names tell; nothing else is touched."""
    with copies.reading(folder, copy) as found:
        with bars() as progress:
            uvloop.run(backup.check(found, progress))
        if json:
            as_json(_told(found))
        else:
            print(f"{found.folder}: whole; {_in_words(found)}")


@contextmanager
def bars() -> Iterator[Progress]:
    """Show on standard error how far it is, where a person looks at it."""
    columns = (TextColumn("{task.description:9}"), BarColumn(), MofNCompleteColumn())
    with Bars(*columns, console=Console(stderr=True), disable=not sys.stderr.isatty()) as shown:
        tasks: dict[str, TaskID] = {}

        def tell(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = shown.add_task(what, total=total)
            shown.update(tasks[what], completed=done, total=total)

        yield tell


def _look(folder: Path) -> dict[str, object]:
    try:
        return _told(Copy(folder)) | {"state": "manifest whole"}
    except (BackupDamaged, errors.StorageError) as exc:
        return {"copy": folder.name, "state": str(exc)}


def _told(copy: Copy) -> dict[str, object]:
    manifest = copy.manifest
    rows = {part.name: part.rows for part in manifest.tables}
    return {
        "copy": copy.name,
        "folder": str(copy.folder),
        "madeAt": manifest.made_at.isoformat(),
        "schema": manifest.schema_,
        "chain": manifest.chain.model_dump(),
        "block": manifest.cursor.number if manifest.cursor else None,
        "evidence": rows.get("evidence", 0),
        "orders": rows.get("maintenance_order", 0),
        "rows": rows,
        "objects": manifest.objects.rows,
        "objectBytes": manifest.object_bytes,
    }


def _in_words(copy: Copy) -> str:
    told = _told(copy)
    block = "no block" if told["block"] is None else f"up to block {told['block']}"
    return (
        f"{block}, {told['evidence']} evidence, {told['orders']} order(s),"
        f" {told['objects']} object(s) of {told['objectBytes']} bytes"
    )
