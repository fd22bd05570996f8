"""Number of catalogue items per library, and when a user's watch states were last fetched from Plex."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('plex_sections', sa.Column('items', sa.BigInteger(), nullable=True))
    op.create_table('watch_looks',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('server_id', sa.Text(), nullable=False),
    sa.Column('looked_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('whole_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_watch_looks_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'server_id', name=op.f('pk_watch_looks'))
    )
