"""Identity of published files, time of file removals, and turns of downloads."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('downloads', sa.Column('published', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column('downloads', sa.Column('yielded_at', sa.DateTime(timezone=True), nullable=True))
    op.create_index('ix_downloads_file', 'downloads', [sa.text("(file ->> 'path')")], unique=False, postgresql_where=sa.text('file IS NOT NULL'))
    op.create_index('ix_downloads_publishing', 'downloads', [sa.text("(publishing ->> 'path')")], unique=False, postgresql_where=sa.text('publishing IS NOT NULL'))
    op.add_column('file_removals', sa.Column('identity', postgresql.JSONB(astext_type=sa.Text()), nullable=True))
    op.add_column('file_removals', sa.Column('removed_at', sa.DateTime(timezone=True), nullable=True))
    op.create_table('download_turns',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('served_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('released_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('yielded_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('yields', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_download_turns_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_download_turns'))
    )
