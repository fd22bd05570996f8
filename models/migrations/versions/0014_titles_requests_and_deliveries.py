"""Titles, requests and deliveries."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table('request_rules',
    sa.Column('id', sa.BigInteger(), nullable=False),
    sa.Column('rules', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('quotas', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('updated_by', sa.Text(), nullable=True),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request_rules'))
    )
    op.create_table('title_lists',
    sa.Column('key', sa.Text(), nullable=False),
    sa.Column('members', postgresql.JSONB(astext_type=sa.Text()), nullable=False),
    sa.Column('total', sa.BigInteger(), nullable=False),
    sa.Column('fetched_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('key', name=op.f('pk_title_lists'))
    )
    op.create_index('ix_title_lists_fetched', 'title_lists', ['fetched_at'], unique=False)
    op.create_table('titles',
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('tmdb_id', sa.Text(), nullable=False),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('original_title', sa.Text(), nullable=True),
    sa.Column('names', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('other_titles', postgresql.ARRAY(sa.Text()), server_default=sa.text("'{}'"), nullable=False),
    sa.Column('search', sa.Text(), server_default='', nullable=False),
    sa.Column('released', sa.Date(), nullable=True),
    sa.Column('overview', sa.Text(), nullable=True),
    sa.Column('poster', sa.Text(), nullable=True),
    sa.Column('backdrop', sa.Text(), nullable=True),
    sa.Column('language', sa.Text(), nullable=True),
    sa.Column('genres', postgresql.JSONB(astext_type=sa.Text()), server_default=sa.text("'[]'"), nullable=False),
    sa.Column('rating', sa.Double(), nullable=True),
    sa.Column('popularity', sa.Double(), nullable=True),
    sa.Column('details', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('listed_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('detailed_at', sa.DateTime(timezone=True), nullable=True),
    sa.CheckConstraint("type IN ('movie', 'tv')", name=op.f('ck_titles_type')),
    sa.PrimaryKeyConstraint('type', 'tmdb_id', name=op.f('pk_titles'))
    )
    op.create_index('ix_titles_listed', 'titles', ['listed_at'], unique=False)
    op.create_index('ix_titles_search', 'titles', [sa.literal_column("to_tsvector('simple', folded(search))")], unique=False, postgresql_using='gin')
    op.create_table('action_links',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('digest', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('subject_id', sa.Text(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('used_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_action_links_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_action_links')),
    sa.UniqueConstraint('digest', name=op.f('uq_action_links_digest'))
    )
    op.create_index(op.f('ix_action_links_expires_at'), 'action_links', ['expires_at'], unique=False)
    op.create_table('media_requests',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('media_type', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('tmdb_id', sa.Text(), nullable=True),
    sa.Column('imdb_id', sa.Text(), nullable=True),
    sa.Column('tvdb_id', sa.Text(), nullable=True),
    sa.Column('url', sa.Text(), nullable=True),
    sa.Column('url_key', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=False),
    sa.Column('folded_title', sa.Text(), sa.Computed('folded(title)', persisted=True), nullable=False),
    sa.Column('year', sa.BigInteger(), nullable=True),
    sa.Column('poster', sa.Text(), nullable=True),
    sa.Column('quality', sa.Text(), nullable=True),
    sa.Column('format', sa.Text(), nullable=True),
    sa.Column('download_path', sa.Text(), nullable=True),
    sa.Column('comment', sa.Text(), nullable=True),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('requested_by_name', sa.Text(), nullable=True),
    sa.Column('source', sa.Text(), server_default='user', nullable=False),
    sa.Column('decided_by', sa.Text(), nullable=True),
    sa.Column('decided_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('deny_reason', sa.Text(), nullable=True),
    sa.Column('by', sa.Text(), nullable=True),
    sa.Column('reference', sa.Text(), nullable=True),
    sa.Column('target', sa.Text(), nullable=True),
    sa.Column('upstream', sa.Text(), nullable=True),
    sa.Column('error', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('download_id', sa.Text(), nullable=True),
    sa.Column('item_id', sa.Text(), nullable=True),
    sa.Column('available_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('followers', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('dispatches', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("(media_type = 'video') = (tmdb_id IS NULL)", name=op.f('ck_media_requests_ids')),
    sa.CheckConstraint("(media_type = 'video') = (url IS NOT NULL)", name=op.f('ck_media_requests_kind')),
    sa.CheckConstraint("media_type IN ('movie', 'tv', 'video')", name=op.f('ck_media_requests_media_type')),
    sa.CheckConstraint("status IN ('pending', 'approved', 'denied', 'processing', 'available', 'failed')", name=op.f('ck_media_requests_status')),
    sa.ForeignKeyConstraint(['decided_by'], ['users.id'], name=op.f('fk_media_requests_decided_by'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_media_requests_user_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_media_requests'))
    )
    op.create_index('ix_media_requests_download', 'media_requests', ['download_id'], unique=False, postgresql_where=sa.text('download_id IS NOT NULL'))
    op.create_index('ix_media_requests_imdb', 'media_requests', ['imdb_id'], unique=False, postgresql_where=sa.text('imdb_id IS NOT NULL'))
    op.create_index('ix_media_requests_open', 'media_requests', ['status'], unique=False, postgresql_where=sa.text("status <> 'denied'"))
    op.create_index('ix_media_requests_reference', 'media_requests', ['reference'], unique=False, postgresql_where=sa.text('reference IS NOT NULL'))
    op.create_index('ix_media_requests_status', 'media_requests', ['status', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_media_requests_title', 'media_requests', ['media_type', 'tmdb_id'], unique=False)
    op.create_index('ix_media_requests_tvdb', 'media_requests', ['tvdb_id'], unique=False, postgresql_where=sa.text('tvdb_id IS NOT NULL'))
    op.create_index('ix_media_requests_updated', 'media_requests', [sa.literal_column('updated_at DESC'), sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_media_requests_by_title', 'media_requests', ['folded_title', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_media_requests_followers', 'media_requests', [sa.literal_column('followers DESC'), sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_media_requests_user', 'media_requests', ['user_id', sa.literal_column('id DESC')], unique=False)
    op.create_index('uq_media_requests_movie', 'media_requests', ['tmdb_id'], unique=True, postgresql_where=sa.text("media_type = 'movie'"))
    op.create_index('uq_media_requests_video', 'media_requests', ['url_key'], unique=True, postgresql_where=sa.text('url IS NOT NULL'))
    op.create_table('notification_channels',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=True),
    sa.Column('shown', sa.Text(), nullable=True),
    sa.Column('enabled', sa.Boolean(), nullable=False),
    sa.Column('error', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("kind IN ('email', 'apprise')", name=op.f('ck_notification_channels_kind')),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notification_channels_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_notification_channels'))
    )
    op.create_index('ix_notification_channels_user', 'notification_channels', ['user_id'], unique=False)
    op.create_table('notification_preferences',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('events', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('quiet_from', sa.Text(), nullable=True),
    sa.Column('quiet_to', sa.Text(), nullable=True),
    sa.Column('time_zone', sa.Text(), nullable=True),
    sa.Column('digest', sa.Text(), server_default='none', nullable=False),
    sa.Column('updated_at', sa.DateTime(timezone=True), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_notification_preferences_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('user_id', name=op.f('pk_notification_preferences'))
    )
    op.create_table('deliveries',
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('channel_id', sa.Text(), nullable=True),
    sa.Column('kind', sa.Text(), nullable=False),
    sa.Column('shown', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('target', sa.Text(), nullable=True),
    sa.Column('dedupe_key', sa.Text(), nullable=True),
    sa.Column('handed_over_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('digest', sa.Boolean(), server_default=sa.text('false'), nullable=False),
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
    sa.ForeignKeyConstraint(['channel_id'], ['notification_channels.id'], name=op.f('fk_deliveries_channel_id'), ondelete='SET NULL'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_deliveries_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_deliveries')),
    sa.UniqueConstraint('dedupe_key', name=op.f('uq_deliveries_dedupe_key'))
    )
    op.create_index('ix_deliveries_held', 'deliveries', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_deliveries_list', 'deliveries', [sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_deliveries_open', 'deliveries', ['channel_id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_index('ix_deliveries_user', 'deliveries', ['user_id', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_deliveries_waiting', 'deliveries', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('fulfilments',
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('dispatch', sa.BigInteger(), nullable=False),
    sa.Column('action', sa.Text(), nullable=False),
    sa.Column('actor_id', sa.Text(), nullable=True),
    sa.Column('reference', sa.Text(), nullable=True),
    sa.Column('target', sa.Text(), nullable=True),
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
    sa.PrimaryKeyConstraint('id', name=op.f('pk_fulfilments'))
    )
    op.create_index('ix_fulfilments_held', 'fulfilments', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_fulfilments_request', 'fulfilments', ['request_id'], unique=False)
    op.create_index('ix_fulfilments_waiting', 'fulfilments', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('request_announcements',
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('step_id', sa.Text(), nullable=False),
    sa.Column('type', sa.Text(), nullable=False),
    sa.Column('actor_id', sa.Text(), nullable=True),
    sa.Column('batch', sa.Text(), nullable=True),
    sa.Column('told_until', sa.Text(), nullable=True),
    sa.Column('told', sa.BigInteger(), server_default=sa.text('0'), nullable=False),
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
    sa.ForeignKeyConstraint(['request_id'], ['media_requests.id'], name=op.f('fk_request_announcements_request_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request_announcements'))
    )
    op.create_index('ix_request_announcements_held', 'request_announcements', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_request_announcements_request', 'request_announcements', ['request_id'], unique=False)
    op.create_index('ix_request_announcements_waiting', 'request_announcements', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('request_comments',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['request_id'], ['media_requests.id'], name=op.f('fk_request_comments_request_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_request_comments_user_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request_comments'))
    )
    op.create_index('ix_request_comments_request', 'request_comments', ['request_id', 'id'], unique=False)
    op.create_table('request_followers',
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('own', sa.Boolean(), nullable=False),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['request_id'], ['media_requests.id'], name=op.f('fk_request_followers_request_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_request_followers_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('request_id', 'user_id', name=op.f('pk_request_followers'))
    )
    op.create_index('ix_request_followers_user', 'request_followers', ['user_id', sa.literal_column('request_id DESC')], unique=False)
    op.create_table('request_seasons',
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('number', sa.BigInteger(), nullable=False),
    sa.Column('tmdb_id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), server_default='pending', nullable=False),
    sa.Column('had', sa.BigInteger(), nullable=True),
    sa.ForeignKeyConstraint(['request_id'], ['media_requests.id'], name=op.f('fk_request_seasons_request_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('request_id', 'number', name=op.f('pk_request_seasons')),
    sa.UniqueConstraint('tmdb_id', 'number', name=op.f('uq_request_seasons_tmdb_id_number'))
    )
    op.create_table('request_steps',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('request_id', sa.Text(), nullable=False),
    sa.Column('step', sa.Text(), nullable=False),
    sa.Column('text', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=True),
    sa.Column('correlation_id', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['request_id'], ['media_requests.id'], name=op.f('fk_request_steps_request_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_request_steps_user_id'), ondelete='SET NULL'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_request_steps'))
    )
    op.create_index('ix_request_steps_request', 'request_steps', ['request_id', 'id'], unique=False)
    op.create_table('delivered_notifications',
    sa.Column('delivery_id', sa.Text(), nullable=False),
    sa.Column('notification_id', sa.Text(), nullable=False),
    sa.ForeignKeyConstraint(['delivery_id'], ['deliveries.id'], name=op.f('fk_delivered_notifications_delivery_id'), ondelete='CASCADE'),
    sa.ForeignKeyConstraint(['notification_id'], ['notifications.id'], name=op.f('fk_delivered_notifications_notification_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('delivery_id', 'notification_id', name=op.f('pk_delivered_notifications'))
    )
    op.create_index(op.f('ix_delivered_notifications_notification_id'), 'delivered_notifications', ['notification_id'], unique=False)
    op.add_column('downloads', sa.Column('request_id', sa.Text(), nullable=True))
    op.add_column('notifications', sa.Column('group_key', sa.Text(), nullable=True))
    op.add_column('notifications', sa.Column('count', sa.BigInteger(), server_default=sa.text('1'), nullable=False))
    op.add_column('notifications', sa.Column('details', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True))
    op.add_column('notifications', sa.Column('correlation_id', sa.Text(), nullable=True))
    op.create_index('ix_notifications_group', 'notifications', ['user_id', 'group_key'], unique=False, postgresql_where=sa.text('group_key IS NOT NULL'))
    op.add_column('users', sa.Column('requests_per_days', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True))
    op.create_index('ix_media_items_tvdb', 'media_items', ['tvdb_id'], unique=False, postgresql_where=sa.text('tvdb_id IS NOT NULL'))
