"""`mol token`: access to the API."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated

import uvloop
from cyclopts import App, Parameter

from ledger_service import settings as config
from ledger_service.api.auth import make_token
from ledger_service.commands.given import existing_store
from ledger_service.commands.services import Config
from ledger_service.commands.show import Json, as_json, table
from ledger_service.domain import errors
from ledger_service.domain.records import Role, Token
from ledger_service.files import write_secret
from ledger_service.wiring.service import open_store

app = App(
    name="token",
    help="""Create, list and revoke bearer tokens of the API.

    Example: `mol token create --role edge --subject 1/robot-7 --file robot-7.token`
    """,
)


@app.command
def create(
    *,
    role: Role,
    subject: str = "",
    days: Annotated[int | None, Parameter(help="Days until it expires; default: never.")] = None,
    file: Annotated[
        Path | None, Parameter(help="Write it there, readable by you alone, instead of printing.")
    ] = None,
    config_file: Config = None,
) -> None:
    """Create a token; it is told once, and only its SHA-256 is kept.

    Parameters
    ----------
    role:
        edge posts evidence; organisation reads bytes and hands in results (subject: its number);
        auditor reads; technician ends work; buyer reads; operator may do all.
    subject:
        Whom it is for: an asset, an organisation's number, a name.
    """
    uvloop.run(_create(config.load(config_file), role, subject, days, file))


@app.command(name="list")
def list_(config_file: Config = None, *, json: Json = False) -> None:
    """List tokens, never their secrets."""
    found = [_row(token) for token in uvloop.run(_list(config.load(config_file)))]
    if json:
        as_json(found)
    else:
        names = ("id", "role", "subject", "created", "expires", "revoked")
        table("Tokens", names, [[row[name] for name in names] for row in found])


@app.command
def revoke(token: str, config_file: Config = None) -> None:
    """End a token at once, by its id (the part between the underscores)."""
    uvloop.run(_revoke(config.load(config_file), token))
    print(f"revoked {token}")


async def _create(
    settings: config.Settings, role: Role, subject: str, days: int | None, file: Path | None
) -> None:
    now = datetime.now(UTC)
    expires = None if days is None else now + timedelta(days=days)
    text, token = make_token(role, subject, now, expires)
    async with open_store(settings) as store, store.transaction() as rows:
        await rows.tokens.add(token)
    if file is None:
        print(text)
    else:
        write_secret(file, text + "\n")
        print(f"{token.id} written to {file}")


async def _list(settings: config.Settings) -> list[Token]:
    async with existing_store(settings) as store, store.reading() as rows:
        return list(await rows.tokens.list())


async def _revoke(settings: config.Settings, name: str) -> None:
    async with existing_store(settings) as store, store.transaction() as rows:
        if not await rows.tokens.revoke(name, datetime.now(UTC)):
            raise errors.NotFound("No such token.", found=name)


def _row(token: Token) -> dict[str, str]:
    return {
        "id": token.id,
        "role": token.role.value,
        "subject": token.subject,
        "created": str(token.created_at),
        "expires": str(token.expires_at or ""),
        "revoked": str(token.revoked_at or ""),
    }
