"""How many items the catalogue has of a library, so that a sync that changes nothing need not count them."""

import sqlalchemy as sa
from alembic import op

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('plex_sections', sa.Column('items', sa.BigInteger(), nullable=True))
