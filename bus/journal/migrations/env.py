"""Alembic's way in: runs the versions on the connection that `bus.journal.database.migrate` hands over."""

from __future__ import annotations

from alembic import context

from bus.journal.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, transactional_ddl=False)
context.run_migrations()
