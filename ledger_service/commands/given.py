"""What commands are given: ids as words, and a database that must be there already.

A slip of the pen is wrong use (exit 2), and looking never makes what it looks for.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from ledger_service import ports
from ledger_service import settings as config
from ledger_service.db.session import SqlStore
from ledger_service.domain import errors, ids
from ledger_service.wiring.service import database_url, open_store

_DIGITS = re.compile(r"(0x)?[0-9a-f]{1,64}")


@contextmanager
def as_wrong_use() -> Iterator[None]:
    """Take a field that is not what it must be for a mistake on the command line."""
    try:
        yield
    except errors.UnknownField as exc:
        raise errors.ConfigError(f"Wrong use: {exc.detail}", **exc.fields) from exc


def digits_of(word: str) -> str:
    """Read an order's id or its first digits. Raise ConfigError."""
    if not _DIGITS.fullmatch(word):
        text = "Wrong use: expected an order's id, 64 lower-case hex digits, or its first ones."
        raise errors.ConfigError(text, found=repr(word[:80]))
    return word.removeprefix("0x")


async def find_order(store: ports.Store, digits: str) -> ids.OrderId:
    """Return the one order whose id begins so. Raise NotFound."""
    async with store.reading() as rows:
        found = await rows.orders.beginning(digits)
    if len(found) != 1:
        why = "More than one order's id begins so." if found else "No order's id begins so."
        raise errors.NotFound(why, found=digits)
    return found[0].id


@asynccontextmanager
async def existing_store(settings: config.Settings) -> AsyncIterator[SqlStore]:
    """Open the service's database. Raise ConfigError if it would have to be made first."""
    require_database(settings)
    async with open_store(settings) as store:
        yield store


def require_database(settings: config.Settings) -> None:
    """Raise ConfigError if the settings name a SQLite file that is not there."""
    scheme, _, path = database_url(settings).partition(":///")
    if scheme.startswith("sqlite") and path and not Path(path).exists():
        raise errors.ConfigError(
            "There is no database yet; `mol up` and `mol token create` make it.", file=path
        )
