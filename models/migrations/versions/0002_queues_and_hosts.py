"""Queues can be held, hosts can be throttled, downloads have a priority."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "queues",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("paused_by", sa.Text(), nullable=True),
        sa.Column("blocked_reason", sa.Text(), nullable=True),
        sa.Column("blocked_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_queues")),
    )
    op.create_table(
        "source_hosts",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("throttled_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("strikes", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_source_hosts")),
    )
    waiting = sa.text("ended_at IS NULL AND lease_until IS NULL")
    op.add_column("downloads", sa.Column("priority", sa.BigInteger(), server_default=sa.text("0"), nullable=False))
    turn: list[str | sa.TextClause | sa.ColumnElement[object]] = [sa.text("priority DESC"), "id"]
    op.create_index("ix_downloads_turn", "downloads", turn, postgresql_where=waiting)
    op.create_index("ix_downloads_turn_of_user", "downloads", ["user_id", *turn], postgresql_where=waiting)
