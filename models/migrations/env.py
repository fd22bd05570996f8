"""Alembic's entry: runs migrations on the connection that `models.migrate` hands over."""

from alembic import context

from models import Base

context.configure(connection=context.config.attributes["connection"], target_metadata=Base.metadata)
context.run_migrations()
