"""Until when a session counts as confirmed, and addresses that a user entered while another has them."""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.add_column('logins', sa.Column('proven_until', sa.DateTime(timezone=True), nullable=True))
    op.add_column('users', sa.Column('email_claimed_at', sa.DateTime(timezone=True), nullable=True))
    op.drop_index('uq_users_email', table_name='users')
    op.create_index(
        'uq_users_email',
        'users',
        [sa.literal_column('lower(email)')],
        unique=True,
        postgresql_where=sa.text('password_hash IS NOT NULL AND email_claimed_at IS NULL'),
    )
