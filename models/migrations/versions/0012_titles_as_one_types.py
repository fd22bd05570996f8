"""Titles without case and accents: a function, the words of the catalogue by it, and indexes to suggest titles by."""

import sqlalchemy as sa
from alembic import op

revision = '0012'
down_revision = '0011'
branch_labels = None
depends_on = None

# Letters that Unicode does not take apart are replaced one by one.
FOLDED = r"""
CREATE FUNCTION folded(words text) RETURNS text LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN replace(replace(replace(translate(
    lower(regexp_replace(normalize(words, NFKD), '[\u0300-\u036f]', '', 'g')),
    'øłđıħ', 'oldih'), 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe')
"""
SEARCH = """
ALTER TABLE media_items DROP COLUMN search, ADD COLUMN search tsvector GENERATED ALWAYS AS (
    to_tsvector('simple', folded(title || ' ' || coalesce(original_title, '') || ' ' || coalesce(show_title, '')))
) STORED
"""


def upgrade() -> None:
    """Go forward."""
    op.execute(FOLDED)
    op.execute(SEARCH)  # drops its index too
    op.create_index('ix_media_items_search', 'media_items', ['search'], unique=False, postgresql_using='gin')
    tops, episodes = (sa.text(f"deleted_at IS NULL AND type {which}") for which in ("IN ('movie', 'show')", "= 'episode'"))
    begin: sa.ColumnElement[str] = sa.literal_column('"left"(folded(title), 200) COLLATE "C"')  # more than an index can hold would keep an item out
    titled = sa.text('title IS NOT NULL')
    op.create_index('ix_media_items_words', 'media_items', ['search'], unique=False, postgresql_using='gin', postgresql_where=tops)
    op.create_index('ix_media_items_begin', 'media_items', ['server_id', begin], unique=False, postgresql_where=tops)
    op.create_index('ix_media_items_episodes', 'media_items', ['server_id', begin], unique=False, postgresql_where=episodes)
    op.create_index('ix_downloads_begin', 'downloads', ['user_id', begin], unique=False, postgresql_where=titled)
    op.create_index('ix_downloads_words', 'downloads', [sa.literal_column("(to_tsvector('simple', folded(title)) || array_to_tsvector(ARRAY['=' || user_id]))")], unique=False, postgresql_using='gin', postgresql_where=titled)
