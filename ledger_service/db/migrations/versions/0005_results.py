"""Result documents: a later one of an organisation no longer takes the place of an earlier one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from ledger_service.domain.result import result_digest

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

BEFORE = "result_before"
ROWS_AT_ONCE = 500


def upgrade() -> None:
    """Make the table anew, with the digest in its key, and fill it from the one of before."""
    op.rename_table("result", BEFORE)
    connection = op.get_bind()
    if connection.dialect.name == "postgresql":  # there such a name is the whole schema's
        op.execute(f"ALTER TABLE {BEFORE} RENAME CONSTRAINT pk_result TO pk_{BEFORE}")
    op.create_table(
        "result",
        sa.Column("order", sa.LargeBinary(length=32), nullable=False),
        sa.Column("organisation", sa.Integer(), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("order", "organisation", "digest", name=op.f("pk_result")),
    )
    _fill(connection)
    op.drop_table(BEFORE)


def _fill(connection: sa.Connection) -> None:
    filled, before = _table("result"), _table(BEFORE)
    order, organisation = before.c.order, before.c.organisation
    query = sa.select(order, organisation, before.c.document)
    query = query.order_by(order, organisation).limit(ROWS_AT_ONCE)
    page = connection.execute(query).mappings().all()
    while page:
        values = [{**row, "digest": result_digest(row["document"])} for row in page]
        connection.execute(filled.insert(), values)
        last = page[-1]
        behind = sa.and_(order == last["order"], organisation > last["organisation"])
        following = query.where((order > last["order"]) | behind)
        page = connection.execute(following).mappings().all()


def _table(name: str) -> sa.TableClause:
    return sa.table(
        name,
        sa.column("order", sa.LargeBinary()),
        sa.column("organisation", sa.Integer()),
        sa.column("digest", sa.LargeBinary()),
        sa.column("document", sa.LargeBinary()),
    )
