"""Final blocks of which nodes had two: nothing is taken in before an operator accepted one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger_service.db.tables import Moment

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "dispute",
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("ours", sa.LargeBinary(length=32), nullable=False),
        sa.Column("theirs", sa.LargeBinary(length=32), nullable=False),
        sa.Column("node", sa.Text(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("noted_at", Moment(), nullable=False),
        sa.Column("accepted", sa.LargeBinary(length=32), nullable=True),
        sa.PrimaryKeyConstraint("number", "ours", "theirs", name=op.f("pk_dispute")),
    )
