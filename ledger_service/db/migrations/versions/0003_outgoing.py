"""What has not ended of our transactions is found without those that have."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Put an index of what is stored in the place of one of all states."""
    op.drop_index("ix_outgoing_signer_state", table_name="outgoing")
    stored = sa.text("state = 'stored'")
    op.create_index(
        "ix_outgoing_stored",
        "outgoing",
        ["signer", "nonce"],
        sqlite_where=stored,
        postgresql_where=stored,
    )
