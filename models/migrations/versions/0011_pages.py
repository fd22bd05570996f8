"""What people choose for pages: language, theme, and how the next download is to be."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('users', sa.Column('language', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('theme', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('download_choice', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True))
