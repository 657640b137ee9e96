"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger_service.db.tables import Moment

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Create all tables."""
    op.create_table(
        "block",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("parent", sa.LargeBinary(length=32), nullable=False),
        sa.Column("time", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_block")),
        sa.UniqueConstraint("hash", name=op.f("uq_block_hash")),
    )
    op.create_table(
        "cursor",
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_cursor")),
    )
    op.create_table(
        "evidence",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("asset", sa.String(length=128), nullable=False),
        sa.Column("detector", sa.LargeBinary(length=32), nullable=False),
        sa.Column("failure_mode", sa.String(length=64), nullable=False),
        sa.Column("device", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("dataset_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("gap", sa.Boolean(), nullable=False),
        sa.Column("received_at", Moment(), nullable=False),
        sa.Column("stage", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_evidence")),
        sa.UniqueConstraint("dataset_root", name=op.f("uq_evidence_dataset_root")),
        sa.UniqueConstraint("device", "sequence", name=op.f("uq_evidence_device_sequence")),
        sa.UniqueConstraint("id", name=op.f("uq_evidence_id")),
    )
    op.create_index("ix_evidence_stage_number", "evidence", ["stage", "number"], unique=False)
    op.create_table(
        "fact",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("order", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("transaction", sa.LargeBinary(length=32), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("fields", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fact")),
    )
    op.create_index(op.f("ix_fact_block"), "fact", ["block"], unique=False)
    op.create_index(op.f("ix_fact_order"), "fact", ["order"], unique=False)
    op.create_table(
        "feed",
        sa.Column(
            "sequence",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("order", sa.LargeBinary(length=32), nullable=False),
        sa.Column("body", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name=op.f("pk_feed")),
        sa.UniqueConstraint("kind", "order", name=op.f("uq_feed_kind_order")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "outbox",
        sa.Column("dedup", sa.String(length=96), nullable=False),
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due", Moment(), nullable=False),
        sa.Column("owner", sa.String(length=64), nullable=False),
        sa.Column("lease_until", Moment(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("reference", sa.JSON(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("dedup", name=op.f("pk_outbox")),
    )
    op.create_index(op.f("ix_outbox_block"), "outbox", ["block"], unique=False)
    op.create_index("ix_outbox_due", "outbox", ["destination", "state", "due"], unique=False)
    op.create_index("ix_outbox_head", "outbox", ["destination", "key", "dedup"], unique=False)
    op.create_table(
        "outgoing",
        sa.Column("key", sa.String(length=160), nullable=False),
        sa.Column("signer", sa.LargeBinary(length=20), nullable=False),
        sa.Column("nonce", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("raw", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("orders", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("sends", sa.Integer(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("sent_at", Moment(), nullable=True),
        sa.Column("refused_at", Moment(), nullable=True),
        sa.Column("void", sa.Boolean(), nullable=False),
        sa.Column("earlier", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_outgoing")),
        sa.UniqueConstraint("hash", name=op.f("uq_outgoing_hash")),
        sa.UniqueConstraint("signer", "nonce", name=op.f("uq_outgoing_signer_nonce")),
    )
    op.create_index("ix_outgoing_signer_state", "outgoing", ["signer", "state"], unique=False)
    op.create_table(
        "pause",
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_pause")),
    )
    op.create_table(
        "proof",
        sa.Column("order", sa.LargeBinary(length=32), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=False),
        sa.Column("block_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("header", sa.JSON(), nullable=False),
        sa.Column("account_proof", sa.JSON(), nullable=False),
        sa.Column("receipt_proof", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("order", "block", name=op.f("pk_proof")),
    )
    op.create_index(op.f("ix_proof_block"), "proof", ["block"], unique=False)
    op.create_table(
        "result",
        sa.Column("order", sa.LargeBinary(length=32), nullable=False),
        sa.Column("organisation", sa.Integer(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("order", "organisation", name=op.f("pk_result")),
    )
    op.create_table(
        "signer",
        sa.Column("address", sa.LargeBinary(length=20), nullable=False),
        sa.Column("next_nonce", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("address", name=op.f("pk_signer")),
    )
    op.create_table(
        "token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("expires_at", Moment(), nullable=True),
        sa.Column("revoked_at", Moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
    op.create_table(
        "hop",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("evidence", sa.LargeBinary(length=32), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("at", Moment(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(["evidence"], ["evidence.id"], name=op.f("fk_hop_evidence")),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_hop")),
        sa.UniqueConstraint("evidence", "name", name=op.f("uq_hop_evidence_name")),
    )
    op.create_table(
        "maintenance_order",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("id", sa.LargeBinary(length=32), nullable=False),
        sa.Column("evidence", sa.LargeBinary(length=32), nullable=False),
        sa.Column("dataset_root", sa.LargeBinary(length=32), nullable=False),
        sa.Column("content", sa.JSON(), nullable=False),
        sa.Column("asset", sa.String(length=128), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("block", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=True),
        sa.ForeignKeyConstraint(
            ["evidence"], ["evidence.id"], name=op.f("fk_maintenance_order_evidence")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_maintenance_order")),
        sa.UniqueConstraint(
            "evidence", "attempt", name=op.f("uq_maintenance_order_evidence_attempt")
        ),
        sa.UniqueConstraint("id", name=op.f("uq_maintenance_order_id")),
    )
    op.create_index(
        op.f("ix_maintenance_order_asset"), "maintenance_order", ["asset"], unique=False
    )
    op.create_index(
        op.f("ix_maintenance_order_dataset_root"),
        "maintenance_order",
        ["dataset_root"],
        unique=False,
    )
    op.create_index(
        op.f("ix_maintenance_order_evidence"), "maintenance_order", ["evidence"], unique=False
    )
    op.create_index(
        op.f("ix_maintenance_order_status"), "maintenance_order", ["status"], unique=False
    )
