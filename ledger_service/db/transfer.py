"""All rows out of a database on one snapshot, and into an empty one of any kind and older schema.

What is copied is what the database says that it has, not what this program would have made: a copy
is taken before the schema is brought to the present, and can be brought back as it was.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Connection,
    LargeBinary,
    TableClause,
    Text,
    column,
    func,
    inspect,
    select,
    table,
    text,
)
from sqlalchemy import types as sqltypes
from sqlalchemy.engine import Inspector
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import MetaData

from ledger_service.db.migrations import bring, knows
from ledger_service.db.tables import Moment, feed, metadata
from ledger_service.domain import errors
from ledger_service.domain.backup_errors import BackupDamaged

Kind = Literal["bytes", "time", "json", "text", "integer", "boolean"]
VERSION_TABLE = "alembic_version"
OURS = frozenset(metadata.tables)  #: of all schemas so far; no migration dropped one
ROWS_AT_ONCE = 200
MARK = "restored"  #: the kind of the feed's line that says where a restored feed goes on
#: The database's own types, as it reflects them, the narrower first.
_KINDS: tuple[tuple[type[sqltypes.TypeEngine[Any]], Kind], ...] = (
    (sqltypes.LargeBinary, "bytes"),
    (sqltypes.DateTime, "time"),
    (sqltypes.JSON, "json"),
    (sqltypes.Boolean, "boolean"),
    (sqltypes.Integer, "integer"),
    (sqltypes.String, "text"),
)
_TYPES: Mapping[Kind, sqltypes.TypeEngine[Any]] = {
    "bytes": LargeBinary(),
    "time": Moment(),
    "json": JSON(none_as_null=True),
    "boolean": Boolean(),
    "integer": BigInteger(),
    "text": Text(),
}
_PYTHON: Mapping[Kind, type] = {"boolean": bool, "integer": int, "text": str}


@dataclass(frozen=True, slots=True)
class Shape:
    """A table: its columns in order with what they hold, and those that order its rows."""

    name: str
    columns: Mapping[str, Kind]
    order: tuple[str, ...] = ()

    @property
    def clause(self) -> TableClause:
        """Return the table as SQL sees it."""
        return table(self.name, *(column(name, _TYPES[k]) for name, k in self.columns.items()))


async def schema_of(connection: AsyncConnection) -> tuple[str, list[Shape]]:
    """Return the revision of a database and its tables, each after those that it refers to.

    Raise ConfigError if the revision is not one of this program's, or there is none.
    """
    names = await connection.run_sync(lambda sync: inspect(sync).get_table_names())
    if VERSION_TABLE not in names:
        raise errors.ConfigError("The database has no schema: no service ever ran on it.")
    version = table(VERSION_TABLE, column("version_num", Text()))
    revision = str((await connection.execute(select(version.c.version_num))).scalar_one())
    if not knows(revision):
        text_ = "The database was made by a newer program than this one."
        raise errors.ConfigError(text_, found=revision)
    return revision, await connection.run_sync(_shapes)


async def read(connection: AsyncConnection, shape: Shape) -> AsyncIterator[list[list[Any]]]:
    """Yield all rows of a table as values that are fit for JSON, some hundred at once."""
    clause = shape.clause
    query = select(clause).order_by(*(clause.c[name] for name in shape.order))
    result = await connection.stream(query.execution_options(yield_per=ROWS_AT_ONCE))
    async for batch in result.partitions():
        yield [[_plain(value) for value in row] for row in batch]


async def write(
    connection: AsyncConnection, shape: Shape, batches: Iterable[Sequence[Sequence[Any]]]
) -> None:
    """Insert rows that `read` gave. Raise BackupDamaged for a value that is not of its column."""
    kinds = shape.columns.items()
    for batch in batches:
        rows = [
            {name: _value(kind, value) for (name, kind), value in zip(kinds, row, strict=True)}
            for row in batch
        ]
        if rows:
            await connection.execute(shape.clause.insert(), rows)


async def make_schema(
    connection: AsyncConnection, revision: str, wanted: Sequence[Shape]
) -> list[Shape]:
    """Make the tables of a revision; return those wanted, in the order to fill them.

    Raise ConfigError for a revision that is not known here, BackupDamaged if it has other tables.
    """
    if not knows(revision):
        text_ = "The backup was made by a newer program than this one."
        raise errors.ConfigError(text_, found=revision)
    await connection.run_sync(bring, revision)
    made = await connection.run_sync(_shapes)
    given = {shape.name: dict(shape.columns) for shape in wanted}
    if {shape.name: dict(shape.columns) for shape in made} != given:
        raise BackupDamaged("Its tables are not those of its schema.", schema=revision)
    columns = {shape.name: shape.columns for shape in wanted}  # in the order of the backup's rows
    return [Shape(shape.name, columns[shape.name], shape.order) for shape in made]


async def finish(
    connection: AsyncConnection, sequence: int, *, copy_of: datetime, at: datetime
) -> None:
    """Bring a filled database to the present schema, its numbers and its feed beyond what was.

    `sequence`: at least where the feed goes on. Whoever read the feed of before stands between the
    old numbers and the new ones, sees that his line is not there, and reads it anew. `copy_of`: when
    the copy was made; the line tells the oldest copy that was ever brought back, for whoever was
    away over both restores. Raise BackupDamaged for an earlier line that does not tell.
    """
    await connection.run_sync(bring)
    earlier = (await connection.execute(select(feed.c.body).where(feed.c.kind == MARK))).scalars()
    oldest = min([copy_of, *(_copy_of(body) for body in earlier)])
    body = {"copyOf": oldest.isoformat(), "at": at.isoformat()}
    await connection.execute(feed.delete().where(feed.c.kind == MARK))
    last = select(func.coalesce(func.max(feed.c.sequence), 0))
    following = max(sequence, int((await connection.execute(last)).scalar_one()) + 1)
    line = {"sequence": following, "kind": MARK, "order": bytes(32), "body": body}
    await connection.execute(feed.insert().values(line))
    if connection.dialect.name == "postgresql":
        for shape in await connection.run_sync(_shapes):
            await _move_sequences(connection, shape)


async def drop_all(connection: AsyncConnection) -> None:
    """Drop every table of ours: another program may have its own beside them."""
    await connection.run_sync(_drop_all)


async def is_empty(connection: AsyncConnection) -> bool:
    """Say whether none of our tables has a row."""
    for name in OURS.intersection(
        await connection.run_sync(lambda it: inspect(it).get_table_names())
    ):
        query = select(text("1")).select_from(table(name)).limit(1)
        if (await connection.execute(query)).first() is not None:
            return False
    return True


def _shapes(connection: Connection) -> list[Shape]:
    inspector = inspect(connection)
    return [_shape(inspector, item.name) for item in _reflected(connection, OURS).sorted_tables]


def _shape(inspector: Inspector, name: str) -> Shape:
    columns = {item["name"]: _kind(item["type"]) for item in inspector.get_columns(name)}
    key = inspector.get_pk_constraint(name)["constrained_columns"]
    return Shape(name, columns, tuple(key))


def _kind(found: sqltypes.TypeEngine[Any]) -> Kind:
    for known, kind in _KINDS:
        if isinstance(found, known):
            return kind
    raise errors.StorageError("A column of a type that copies do not know.", found=repr(found))


def _drop_all(connection: Connection) -> None:
    _reflected(connection, OURS | {VERSION_TABLE}).drop_all(connection)


def _reflected(connection: Connection, names: frozenset[str]) -> MetaData:
    found = MetaData()
    found.reflect(connection, only=lambda name, _: name in names)
    return found


def _copy_of(body: Any) -> datetime:
    try:
        return datetime.fromisoformat(body["copyOf"]).astimezone(UTC)
    except (KeyError, TypeError, ValueError) as exc:
        text_ = "Its feed does not tell which copy it was restored from."
        raise BackupDamaged(text_, found=repr(body)[:80]) from exc


async def _move_sequences(connection: AsyncConnection, shape: Shape) -> None:
    """Let a table's own numbers go on behind the highest one that was inserted."""
    for name in shape.order:
        if shape.columns[name] != "integer":
            continue
        owned = select(func.pg_get_serial_sequence(f'"{shape.name}"', name))
        sequence = (await connection.execute(owned)).scalar_one()
        if sequence is not None:
            last = select(func.coalesce(func.max(shape.clause.c[name]), 0) + 1).scalar_subquery()
            await connection.execute(select(func.setval(sequence, last, False)))


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return value.astimezone(UTC).isoformat() if isinstance(value, datetime) else value


def _value(kind: Kind, value: Any) -> Any:
    if value is None or kind == "json":
        return value
    try:
        if kind == "bytes":
            return base64.b64decode(value, validate=True)
        if kind == "time":
            return datetime.fromisoformat(value)
    except (TypeError, ValueError, binascii.Error) as exc:
        raise BackupDamaged("A value is not of its column.", found=repr(value)[:80]) from exc
    if type(value) is not _PYTHON[kind]:
        raise BackupDamaged("A value is not of its column.", found=repr(value)[:80])
    return value
