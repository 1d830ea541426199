"""Alembic's entry: runs a history (shared or realm) on the connection and schema that the package gave it."""

from alembic import context

connection = context.config.attributes["connection"]
context.configure(connection=connection, version_table_schema=context.config.attributes["schema"])
with context.begin_transaction():
    context.run_migrations()
