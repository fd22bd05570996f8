"""Ownership of the Plex server, order of items without a date, and clean-up of invalid times, numbers and titles."""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('users', sa.Column('plex_server_id', sa.Text(), nullable=True))
    op.add_column('users', sa.Column('plex_owner', sa.Boolean(), nullable=True))
    # These are read anew by the next full pass: their time may have come.
    op.execute(
        "UPDATE media_items SET added_at = NULL, listed_hash = NULL, hash = 0 "
        "WHERE added_at > now() + interval '1 day'"
    )
    op.execute("UPDATE media_items SET year = NULL WHERE year NOT BETWEEN 1 AND 9999")
    op.execute("UPDATE media_items SET duration = NULL WHERE duration <= 0")
    op.execute("UPDATE media_items SET rating = NULL WHERE rating NOT BETWEEN 0 AND 10")
    op.execute("UPDATE plex_collections SET added_at = NULL WHERE added_at > now() + interval '1 day'")
    op.execute("UPDATE watch_states SET last_viewed_at = NULL WHERE last_viewed_at > now() + interval '1 day'")
    # Read anew by the next full pass: guids of older agents name ids that were not known before.
    op.execute(
        "UPDATE media_items SET listed_hash = NULL "
        "WHERE coalesce(imdb_id, tmdb_id, tvdb_id) IS NULL AND guid IS NOT NULL AND guid NOT LIKE 'plex://%'"
    )
    # Trailers and what else is shown around a title, and photos.
    op.execute(
        "DELETE FROM plex_activities WHERE media_type NOT IN "
        "('movie', 'show', 'season', 'episode', 'artist', 'album', 'track')"
    )
    op.drop_index('ix_media_items_added', table_name='media_items')
    op.create_index('ix_media_items_added', 'media_items', ['server_id', 'section_key', 'type', sa.literal_column('added_at DESC NULLS LAST'), sa.literal_column('id DESC')], unique=False)
