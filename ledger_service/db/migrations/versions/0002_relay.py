"""The outbox: settled rows can be pruned, and destinations that do not answer are known."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger_service.db.tables import Moment

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add what the relay needs; what was settled before counts as settled when it was last due."""
    op.add_column("outbox", sa.Column("settled_at", Moment(), nullable=True))
    op.add_column(
        "outbox",
        sa.Column("whole", sa.Boolean(), nullable=False, server_default=sa.text("true")),
    )
    op.execute("UPDATE outbox SET settled_at = due WHERE state = 'done'")
    op.drop_index("ix_outbox_due", table_name="outbox")
    op.create_index("ix_outbox_turn", "outbox", ["destination", "state", "due", "dedup"])
    op.create_index("ix_outbox_settled", "outbox", ["whole", "settled_at"])
    op.create_table(
        "circuit",
        sa.Column("destination", sa.String(length=32), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("since", Moment(), nullable=False),
        sa.Column("held_at", Moment(), nullable=True),
        sa.Column("until", Moment(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("destination", name=op.f("pk_circuit")),
    )
