"""Watchlists."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table('watchlists',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('opted_in_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('etag', sa.Text(), nullable=True),
    sa.Column('checked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_watchlists_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_watchlists'))
    )
    op.create_index('ix_watchlists_due', 'watchlists', ['due_at'], unique=False, postgresql_where=sa.text('opted_in_at IS NOT NULL'))
    op.create_table('watchlist_entries',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('rating_key', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('year', sa.BigInteger(), nullable=True),
    sa.Column('tmdb_id', sa.Text(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=False),
    sa.Column('due_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('reason', sa.Text(), nullable=True),
    sa.Column('request_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['watchlists.user_id'], name=op.f('fk_watchlist_entries_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'rating_key', name=op.f('pk_watchlist_entries'))
    )
    op.create_index('ix_watchlist_entries_newest', 'watchlist_entries', ['user_id', 'created_at'], unique=False)
    op.create_index('ix_watchlist_entries_waiting', 'watchlist_entries', ['user_id', 'due_at'], unique=False, postgresql_where=sa.text("outcome = 'waiting'"))
