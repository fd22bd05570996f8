"""Plex: integrations, libraries, the catalogue, syncs, webhooks, activity, arrivals."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table('integrations',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=True),
    sa.Column('token', sa.Text(), nullable=True),
    sa.Column('options', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_by', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_integrations'))
    )
    op.create_table('plex_servers',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('version', sa.Text(), nullable=True),
    sa.Column('platform', sa.Text(), nullable=True),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('plex_pass', sa.Boolean(), nullable=True),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('synced_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('failures', sa.BigInteger(), nullable=False),
    sa.Column('open_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_error', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plex_servers'))
    )
    op.create_table('webhooks',
    sa.Column('source', sa.Text(), nullable=False),
    sa.Column('event', sa.Text(), nullable=False),
    sa.Column('digest', sa.Text(), nullable=False),
    sa.Column('payload', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('copies', sa.BigInteger(), server_default=sa.text('1'), nullable=False),
    sa.Column('address', sa.Text(), nullable=True),
    sa.Column('outcome', sa.Text(), nullable=True),
    sa.Column('received_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('attempt', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('crash_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('epoch', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('next_run_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_owner', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_webhooks'))
    )
    op.create_index('ix_webhooks_digest', 'webhooks', ['source', 'digest', 'created_at'], unique=False)
    op.create_index('ix_webhooks_held', 'webhooks', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_webhooks_list', 'webhooks', ['source', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_webhooks_waiting', 'webhooks', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('media_items',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('server_id', sa.Text(), nullable=False),
    sa.Column('section_key', sa.Text(), nullable=False),
    sa.Column('rating_key', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('parent_key', sa.Text(), nullable=True),
    sa.Column('grandparent_key', sa.Text(), nullable=True),
    sa.Column('guid', sa.Text(), nullable=True),
    sa.Column('imdb_id', sa.Text(), nullable=True),
    sa.Column('tmdb_id', sa.Text(), nullable=True),
    sa.Column('tvdb_id', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('sort_title', sa.Text(), nullable=False),
    sa.Column('original_title', sa.Text(), nullable=True),
    sa.Column('show_title', sa.Text(), nullable=True),
    sa.Column('edition', sa.Text(), nullable=True),
    sa.Column('year', sa.BigInteger(), nullable=True),
    sa.Column('item_index', sa.BigInteger(), nullable=True),
    sa.Column('parent_index', sa.BigInteger(), nullable=True),
    sa.Column('released', sa.Date(), nullable=True),
    sa.Column('summary', sa.Text(), nullable=True),
    sa.Column('studio', sa.Text(), nullable=True),
    sa.Column('content_rating', sa.Text(), nullable=True),
    sa.Column('rating', sa.Double(), nullable=True),
    sa.Column('duration', sa.BigInteger(), nullable=True),
    sa.Column('genres', postgresql.ARRAY(sa.Text()), nullable=True),
    sa.Column('thumb', sa.Text(), nullable=True),
    sa.Column('art', sa.Text(), nullable=True),
    sa.Column('child_count', sa.BigInteger(), nullable=True),
    sa.Column('leaf_count', sa.BigInteger(), nullable=True),
    sa.Column('resolution', sa.Text(), nullable=True),
    sa.Column('size', sa.BigInteger(), nullable=True),
    sa.Column('file', sa.Text(), nullable=True),
    sa.Column('files', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('hash', sa.BigInteger(), nullable=False),
    sa.Column('listed_hash', sa.BigInteger(), nullable=True),
    sa.Column('deleted_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('search', postgresql.TSVECTOR(), sa.Computed("to_tsvector('simple', title || ' ' || coalesce(original_title, '') || ' ' || coalesce(show_title, ''))", persisted=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['server_id'], ['plex_servers.id'], name=op.f('fk_media_items_server_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_media_items'))
    )
    op.create_index('ix_media_items_added', 'media_items', ['server_id', 'section_key', 'type', sa.literal_column('added_at DESC'), sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_media_items_grandparent', 'media_items', ['server_id', 'grandparent_key'], unique=False, postgresql_where=sa.text('grandparent_key IS NOT NULL'))
    op.create_index('ix_media_items_file', 'media_items', ['file'], unique=False, postgresql_where=sa.text('file IS NOT NULL'))
    op.create_index('ix_media_items_guid', 'media_items', ['guid'], unique=False, postgresql_where=sa.text('guid IS NOT NULL'))
    op.create_index('ix_media_items_imdb', 'media_items', ['imdb_id'], unique=False, postgresql_where=sa.text('imdb_id IS NOT NULL'))
    op.create_index('ix_media_items_parent', 'media_items', ['server_id', 'parent_key'], unique=False, postgresql_where=sa.text('parent_key IS NOT NULL'))
    op.create_index('ix_media_items_search', 'media_items', ['search'], unique=False, postgresql_using='gin')
    op.create_index('ix_media_items_title', 'media_items', ['server_id', 'section_key', 'type', 'sort_title', 'id'], unique=False)
    op.create_index('ix_media_items_tmdb', 'media_items', ['tmdb_id'], unique=False, postgresql_where=sa.text('tmdb_id IS NOT NULL'))
    op.create_index('uq_media_items_rating_key', 'media_items', ['server_id', 'rating_key'], unique=True, postgresql_where=sa.text('deleted_at IS NULL'))
    op.create_table('plex_collections',
    sa.Column('server_id', sa.Text(), nullable=False),
    sa.Column('rating_key', sa.Text(), nullable=False),
    sa.Column('section_key', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('sort_title', sa.Text(), nullable=False),
    sa.Column('summary', sa.Text(), nullable=True),
    sa.Column('thumb', sa.Text(), nullable=True),
    sa.Column('subtype', sa.Text(), nullable=True),
    sa.Column('smart', sa.Boolean(), nullable=False),
    sa.Column('child_count', sa.BigInteger(), nullable=False),
    sa.Column('added_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['server_id'], ['plex_servers.id'], name=op.f('fk_plex_collections_server_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('server_id', 'rating_key', name=op.f('pk_plex_collections'))
    )
    op.create_table('plex_sections',
    sa.Column('server_id', sa.Text(), nullable=False),
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('uuid', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('agent', sa.Text(), nullable=True),
    sa.Column('hidden', sa.Boolean(), nullable=False),
    sa.Column('position', sa.BigInteger(), nullable=False),
    sa.Column('locations', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('count', sa.BigInteger(), nullable=False),
    sa.Column('scanned_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('full_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('changed_mark', sa.BigInteger(), nullable=True),
    sa.Column('updated_mark', sa.BigInteger(), nullable=True),
    sa.Column('held_back', sa.BigInteger(), nullable=True),
    sa.Column('gone_at', sa.DateTime(timezone=True), nullable=True),
    sa.ForeignKeyConstraint(['server_id'], ['plex_servers.id'], name=op.f('fk_plex_sections_server_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('server_id', 'key', name=op.f('pk_plex_sections'))
    )
    op.create_table('sync_runs',
    sa.Column('full', sa.Boolean(), nullable=False),
    sa.Column('trigger', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('server_id', sa.Text(), nullable=True),
    sa.Column('rating_keys', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('counts', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('sections', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('attempt', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('crash_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('epoch', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('next_run_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_owner', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_sync_runs_user_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sync_runs'))
    )
    op.create_index('ix_sync_runs_held', 'sync_runs', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_sync_runs_waiting', 'sync_runs', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('plex_activities',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('server_id', sa.Text(), nullable=True),
    sa.Column('event', sa.Text(), nullable=False),
    sa.Column('account_id', sa.Text(), nullable=True),
    sa.Column('account_name', sa.Text(), nullable=True),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('item_id', sa.Text(), nullable=True),
    sa.Column('rating_key', sa.Text(), nullable=True),
    sa.Column('media_type', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('player', sa.Text(), nullable=True),
    sa.Column('local', sa.Boolean(), nullable=True),
    sa.Column('rating', sa.Double(), nullable=True),
    sa.Column('view_offset', sa.BigInteger(), nullable=True),
    sa.Column('at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('webhook_id', sa.Text(), nullable=True),
    sa.ForeignKeyConstraint(['item_id'], ['media_items.id'], name=op.f('fk_plex_activities_item_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_plex_activities_user_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plex_activities')),
    sa.UniqueConstraint('webhook_id', name=op.f('uq_plex_activities_webhook_id'))
    )
    op.create_index('ix_plex_activities_item', 'plex_activities', ['item_id'], unique=False)
    op.create_index('ix_plex_activities_list', 'plex_activities', [sa.literal_column('at DESC'), sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_plex_activities_user', 'plex_activities', ['user_id', sa.literal_column('at DESC')], unique=False)
    op.create_table('plex_arrivals',
    sa.Column('download_id', sa.Text(), nullable=False),
    sa.Column('server_id', sa.Text(), nullable=False),
    sa.Column('section_key', sa.Text(), nullable=False),
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('scanned_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('rating_key', sa.Text(), nullable=True),
    sa.Column('item_id', sa.Text(), nullable=True),
    sa.Column('deadline', sa.DateTime(timezone=True), nullable=False),
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('attempt', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('crash_count', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('epoch', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('next_run_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.Column('lease_until', sa.DateTime(timezone=True), nullable=True),
    sa.Column('lease_owner', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('started_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('ended_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('cancel_requested_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('error', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['download_id'], ['downloads.id'], name=op.f('fk_plex_arrivals_download_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['item_id'], ['media_items.id'], name=op.f('fk_plex_arrivals_item_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_plex_arrivals')),
    sa.UniqueConstraint('download_id', name=op.f('uq_plex_arrivals_download_id'))
    )
    op.create_index('ix_plex_arrivals_held', 'plex_arrivals', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_plex_arrivals_waiting', 'plex_arrivals', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('sync_changes',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('sync_id', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['sync_id'], ['sync_runs.id'], name=op.f('fk_sync_changes_sync_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_sync_changes'))
    )
    op.create_index('ix_sync_changes_sync', 'sync_changes', ['sync_id', 'id'], unique=False)
    op.create_table('watch_states',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('item_id', sa.Text(), nullable=False),
    sa.Column('view_count', sa.BigInteger(), nullable=False),
    sa.Column('view_offset', sa.BigInteger(), nullable=True),
    sa.Column('rating', sa.Double(), nullable=True),
    sa.Column('last_viewed_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['item_id'], ['media_items.id'], name=op.f('fk_watch_states_item_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_watch_states_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', 'item_id', name=op.f('pk_watch_states'))
    )
    op.create_index(op.f('ix_watch_states_item_id'), 'watch_states', ['item_id'], unique=False)
