"""Downloads by words of their title, channel and URL, and a user's by the video."""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0012'
branch_labels = None
depends_on = None

SEARCHED = (
    "to_tsvector('simple', folded((((coalesce(title, '') || ' ') || coalesce(channel, '')) || ' ') || "
    "translate(url, '/?=&.#_-', '        ')))"
)


def upgrade() -> None:
    """Go forward."""
    op.create_index('ix_downloads_url', 'downloads', ['user_id', 'url_key'], unique=False)
    op.create_index('ix_downloads_search', 'downloads', [sa.literal_column(SEARCHED)], unique=False, postgresql_using='gin')
