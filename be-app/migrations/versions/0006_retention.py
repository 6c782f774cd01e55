"""When inquiries are destroyed, what their senders consented to, and categories with periods of their own."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime

revision = '0006'
down_revision = '0005'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('inquiries', sa.Column('category', Key(length=60), nullable=True))
    op.add_column('inquiries', sa.Column('consent_version', sa.String(length=40), nullable=True))
    op.add_column('inquiries', sa.Column('done_at', UtcDateTime(), nullable=True))
    op.add_column('inquiries', sa.Column('destroy_at', UtcDateTime(), nullable=True))
    op.create_index(op.f('ix_inquiries_destroy_at'), 'inquiries', ['destroy_at'], unique=False)
    categories = op.create_table('inquiry_categories',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('items', sa.JSON(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inquiry_categories')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.bulk_insert(categories, [{'id': 1, 'items': [], 'version': 1}])


def downgrade() -> None:
    op.drop_table('inquiry_categories')
    op.drop_index(op.f('ix_inquiries_destroy_at'), table_name='inquiries')
    op.drop_column('inquiries', 'destroy_at')
    op.drop_column('inquiries', 'done_at')
    op.drop_column('inquiries', 'consent_version')
    op.drop_column('inquiries', 'category')
