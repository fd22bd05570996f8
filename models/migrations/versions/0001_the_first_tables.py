"""the first tables."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table('file_removals',
    sa.Column('path', sa.Text(), nullable=False),
    sa.Column('download_id', sa.Text(), nullable=False),
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
    sa.PrimaryKeyConstraint('id', name=op.f('pk_file_removals'))
    )
    op.create_index('ix_file_removals_held', 'file_removals', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_file_removals_waiting', 'file_removals', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_table('heartbeats',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('queues', sa.Text(), nullable=False),
    sa.Column('owner', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=False),
    sa.Column('seen_at', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', name=op.f('pk_heartbeats'))
    )
    op.create_table('row_counts',
    sa.Column('id', sa.BigInteger(), autoincrement=True, nullable=False),
    sa.Column('table_name', sa.Text(), nullable=False),
    sa.Column('owner_id', sa.Text(), nullable=False),
    sa.Column('status', sa.Text(), nullable=False),
    sa.Column('n', sa.BigInteger(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_row_counts'))
    )
    op.create_index('ix_row_counts_owner', 'row_counts', ['table_name', 'owner_id', 'status'], unique=False)
    op.create_table('schedule_slots',
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('slot', sa.DateTime(timezone=True), nullable=False),
    sa.PrimaryKeyConstraint('name', 'slot', name=op.f('pk_schedule_slots'))
    )
    op.create_table('users',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('email', sa.Text(), nullable=False),
    sa.Column('name', sa.Text(), nullable=False),
    sa.Column('role', sa.Text(), nullable=False),
    sa.Column('tier', sa.Text(), server_default='standard', nullable=False),
    sa.Column('password_hash', sa.Text(), nullable=True),
    sa.Column('disabled_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_login_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.CheckConstraint("role IN ('guest', 'user', 'admin', 'super_admin')", name=op.f('ck_users_role')),
    sa.CheckConstraint("tier IN ('standard', 'premium')", name=op.f('ck_users_tier')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_users'))
    )
    op.create_index('uq_users_email', 'users', [sa.literal_column('lower(email)')], unique=True)
    op.create_table('downloads',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('url_key', sa.Text(), nullable=False),
    sa.Column('host', sa.Text(), nullable=False),
    sa.Column('quality', sa.Text(), nullable=False),
    sa.Column('format', sa.Text(), nullable=False),
    sa.Column('folder', sa.Text(), nullable=False),
    sa.Column('source_id', sa.Text(), nullable=True),
    sa.Column('title', sa.Text(), nullable=True),
    sa.Column('channel', sa.Text(), nullable=True),
    sa.Column('duration', sa.Double(), nullable=True),
    sa.Column('thumbnail', sa.Text(), nullable=True),
    sa.Column('progress', sa.Double(), server_default=sa.text('0'), nullable=False),
    sa.Column('downloaded_bytes', sa.BigInteger(), nullable=True),
    sa.Column('total_bytes', sa.BigInteger(), nullable=True),
    sa.Column('speed', sa.Double(), nullable=True),
    sa.Column('eta', sa.Double(), nullable=True),
    sa.Column('downloading_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('processing_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('publishing', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
    sa.Column('file', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
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
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_downloads_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_downloads')),
    postgresql_with={'fillfactor': 80}
    )
    op.create_index('ix_downloads_held', 'downloads', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index('ix_downloads_list', 'downloads', ['user_id', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_downloads_list_status', 'downloads', ['user_id', 'status', sa.literal_column('id DESC')], unique=False)
    op.create_index('ix_downloads_waiting', 'downloads', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.create_index('uq_downloads_active', 'downloads', ['user_id', 'url_key', 'quality', 'format'], unique=True, postgresql_where=sa.text('ended_at IS NULL'))
    op.create_table('logins',
    sa.Column('id', sa.Text(), nullable=False),
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('refresh_hash', sa.Text(), nullable=False),
    sa.Column('previous_hash', sa.Text(), nullable=True),
    sa.Column('rotated_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('remember_me', sa.Boolean(), nullable=False),
    sa.Column('expires_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('revoked_at', sa.DateTime(timezone=True), nullable=True),
    sa.Column('last_used_at', sa.DateTime(timezone=True), nullable=False),
    sa.Column('user_agent', sa.Text(), nullable=True),
    sa.Column('address', sa.Text(), nullable=True),
    sa.Column('created_at', sa.DateTime(timezone=True), server_default=sa.text('clock_timestamp()'), nullable=False),
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_logins_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_logins'))
    )
    op.create_index(op.f('ix_logins_previous_hash'), 'logins', ['previous_hash'], unique=False)
    op.create_index(op.f('ix_logins_refresh_hash'), 'logins', ['refresh_hash'], unique=False)
    op.create_index(op.f('ix_logins_user_id'), 'logins', ['user_id'], unique=False)
    op.create_table('previews',
    sa.Column('user_id', sa.Text(), nullable=False),
    sa.Column('url', sa.Text(), nullable=False),
    sa.Column('url_key', sa.Text(), nullable=False),
    sa.Column('result', postgresql.JSONB(none_as_null=True, astext_type=sa.Text()), nullable=True),
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
    sa.ForeignKeyConstraint(['user_id'], ['users.id'], name=op.f('fk_previews_user_id'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_previews'))
    )
    op.create_index('ix_previews_held', 'previews', ['lease_until'], unique=False, postgresql_where=sa.text('lease_until IS NOT NULL'))
    op.create_index(op.f('ix_previews_url_key'), 'previews', ['url_key'], unique=False)
    op.create_index('ix_previews_waiting', 'previews', ['next_run_at', 'id'], unique=False, postgresql_where=sa.text('ended_at IS NULL AND lease_until IS NULL'))
    op.execute(COUNT_ROWS)
    count_rows_of("downloads")


COUNT_ROWS = """
CREATE FUNCTION count_rows() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF TG_OP = 'INSERT' THEN
        INSERT INTO row_counts (table_name, owner_id, status, n)
        SELECT TG_TABLE_NAME, user_id, status, count(*) FROM new_rows GROUP BY user_id, status;
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO row_counts (table_name, owner_id, status, n)
        SELECT TG_TABLE_NAME, user_id, status, -count(*) FROM old_rows GROUP BY user_id, status;
    ELSE
        INSERT INTO row_counts (table_name, owner_id, status, n)
        SELECT TG_TABLE_NAME, user_id, status, sum(change)
        FROM (
            SELECT user_id, status, 1 AS change FROM new_rows
            UNION ALL
            SELECT user_id, status, -1 FROM old_rows
        ) AS changes
        GROUP BY user_id, status HAVING sum(change) <> 0;
    END IF;
    RETURN NULL;
END
$$
"""


def count_rows_of(table: str) -> None:
    """Keep `row_counts` of a table with `user_id` and `status` right, whoever writes to it."""
    for event, images in (
        ("INSERT", "NEW TABLE AS new_rows"),
        ("UPDATE", "OLD TABLE AS old_rows NEW TABLE AS new_rows"),
        ("DELETE", "OLD TABLE AS old_rows"),
    ):
        op.execute(
            f"CREATE TRIGGER count_rows_{event.lower()} AFTER {event} ON {table} "
            f"REFERENCING {images} FOR EACH STATEMENT EXECUTE FUNCTION count_rows()"
        )
