"""The tables. Ids are raw bytes, times UTC, numbers of the chain 64-bit integers."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
    text,
)
from sqlalchemy.engine import Dialect

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """A point in time, always UTC with zone; SQLite forgets the zone, so it is put back."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Bring it to UTC first: SQLite would keep the wall clock of another zone."""
        del dialect
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Put the zone back."""
        del dialect
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


class Words(TypeDecorator[str]):
    """Text from outside: a destination's or a node's own words.

    PostgreSQL takes no NUL and neither database takes half a surrogate pair; a reason that cannot be
    written would be tried again for ever.
    """

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Replace what cannot be stored."""
        del dialect
        if value is None:
            return None
        return value.encode("utf-8", "replace").decode().replace("\0", "\ufffd")


_Serial = BigInteger().with_variant(Integer, "sqlite")

evidence = Table(
    "evidence",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", LargeBinary(32), nullable=False, unique=True),
    Column("envelope", LargeBinary, nullable=False),
    Column("asset", String(128), nullable=False),
    Column("detector", LargeBinary(32), nullable=False),
    Column("failure_mode", String(64), nullable=False),
    Column("device", LargeBinary(32), nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("dataset_root", LargeBinary(32), nullable=False, unique=True),
    Column("gap", Boolean, nullable=False),
    Column("received_at", Moment, nullable=False),
    Column("stage", String(16), nullable=False),
    Column("reason", Words, nullable=False),
    UniqueConstraint("device", "sequence"),
    Index("ix_evidence_stage_number", "stage", "number"),
)

hop = Table(
    "hop",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("evidence", LargeBinary(32), ForeignKey("evidence.id"), nullable=False),
    Column("name", String(64), nullable=False),
    Column("at", Moment, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("detail", Words, nullable=False),
    UniqueConstraint("evidence", "name"),
)

maintenance_order = Table(
    "maintenance_order",
    metadata,
    Column("number", _Serial, primary_key=True, autoincrement=True),
    Column("id", LargeBinary(32), nullable=False, unique=True),
    Column("evidence", LargeBinary(32), ForeignKey("evidence.id"), nullable=False, index=True),
    Column("dataset_root", LargeBinary(32), nullable=False, index=True),
    Column("content", JSON, nullable=False),
    Column("asset", String(128), nullable=False, index=True),
    Column("document", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("status", Integer, nullable=False, index=True),
    Column("block", BigInteger),
    Column("reason", Words, nullable=False),
    Column("attempt", Integer),  # null once its proposal had no effect
    UniqueConstraint("evidence", "attempt"),
)

result = Table(
    "result",
    metadata,
    Column("order", LargeBinary(32), nullable=False),
    Column("organisation", Integer, nullable=False),
    Column("digest", LargeBinary(32), nullable=False),  # of the document, as an approval tells it
    Column("document", LargeBinary, nullable=False),
    PrimaryKeyConstraint("order", "organisation", "digest"),
)

feed = Table(
    "feed",
    metadata,
    Column("sequence", _Serial, primary_key=True, autoincrement=True),
    Column("kind", String(16), nullable=False),
    Column("order", LargeBinary(32), nullable=False),
    Column("body", JSON, nullable=False),
    UniqueConstraint("kind", "order"),
    sqlite_autoincrement=True,
)

signer = Table(
    "signer",
    metadata,
    Column("address", LargeBinary(20), primary_key=True),
    Column("next_nonce", BigInteger, nullable=False),
)

outgoing = Table(
    "outgoing",
    metadata,
    Column("key", String(160), primary_key=True),
    Column("signer", LargeBinary(20), nullable=False),
    Column("nonce", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("raw", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("orders", JSON, nullable=False),
    Column("state", String(16), nullable=False),
    Column("sends", Integer, nullable=False),
    Column("reason", Words, nullable=False),
    Column("sent_at", Moment),
    Column("refused_at", Moment),
    Column("void", Boolean, nullable=False),
    Column("earlier", JSON, nullable=False),
    UniqueConstraint("signer", "nonce"),
    # Of what has not ended only: that stays small while the rest grows for years.
    Index(
        "ix_outgoing_stored",
        "signer",
        "nonce",
        sqlite_where=text("state = 'stored'"),
        postgresql_where=text("state = 'stored'"),
    ),
)

block = Table(
    "block",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("hash", LargeBinary(32), nullable=False, unique=True),
    Column("parent", LargeBinary(32), nullable=False),
    Column("time", BigInteger, nullable=False),
)

cursor = Table(
    "cursor",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("block", BigInteger, nullable=False),
    Column("hash", LargeBinary(32), nullable=False),
)

fact = Table(
    "fact",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("order", LargeBinary(32), nullable=False, index=True),
    Column("block", BigInteger, nullable=False, index=True),
    Column("block_hash", LargeBinary(32), nullable=False),
    Column("transaction", LargeBinary(32), nullable=False),
    Column("kind", String(24), nullable=False),
    Column("fields", JSON, nullable=False),
)

proof = Table(
    "proof",
    metadata,
    Column("order", LargeBinary(32), nullable=False),
    Column("block", BigInteger, nullable=False, index=True),
    Column("block_hash", LargeBinary(32), nullable=False),
    Column("header", JSON, nullable=False),
    Column("account_proof", JSON, nullable=False),
    Column("receipt_proof", JSON, nullable=False),
    PrimaryKeyConstraint("order", "block"),
)

outbox = Table(
    "outbox",
    metadata,
    Column("dedup", String(96), primary_key=True),
    Column("destination", String(32), nullable=False),
    Column("key", String(64), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due", Moment, nullable=False),
    Column("owner", String(64), nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("reason", Words, nullable=False),
    Column("reference", JSON, nullable=False),
    Column("block", BigInteger, nullable=False, index=True),
    Column("settled_at", Moment),
    Column("whole", Boolean, nullable=False, server_default=text("true")),
    Index("ix_outbox_head", "destination", "key", "dedup"),
    Index("ix_outbox_turn", "destination", "state", "due", "dedup"),
    Index("ix_outbox_settled", "whole", "settled_at"),
)

dispute = Table(
    "dispute",
    metadata,
    Column("number", BigInteger, nullable=False),
    Column("ours", LargeBinary(32), nullable=False),
    Column("theirs", LargeBinary(32), nullable=False),
    Column("node", Text, nullable=False),
    Column("other", Text, nullable=False),
    Column("noted_at", Moment, nullable=False),
    Column("accepted", LargeBinary(32)),
    PrimaryKeyConstraint("number", "ours", "theirs"),
)

circuit = Table(
    "circuit",
    metadata,
    Column("destination", String(32), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("since", Moment, nullable=False),
    Column("held_at", Moment),
    Column("until", Moment),
    Column("reason", Words, nullable=False),
)

pause = Table("pause", metadata, Column("destination", String(32), primary_key=True))

token = Table(
    "token",
    metadata,
    Column("id", String(32), primary_key=True),
    Column("digest", LargeBinary(32), nullable=False, unique=True),
    Column("role", String(16), nullable=False),
    Column("subject", String(128), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)
