"""Alembic's entry: runs in the connection and the transaction that `upgrade` gives it."""

from alembic import context

from app import tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    transactional_ddl=False,  # the transaction is the caller's
    render_as_batch=True,  # SQLite cannot alter a column in place
)
context.run_migrations()
