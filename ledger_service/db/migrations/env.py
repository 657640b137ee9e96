"""Alembic's entry: runs on the connection that `upgrade` hands in."""

from __future__ import annotations

from alembic import context

from ledger_service.db.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
)
context.run_migrations()
