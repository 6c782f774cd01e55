"""Uploads under way, and quotas."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime

revision = '0003'
down_revision = '0002'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('upload_usage',
    sa.Column('owner', Key(length=64), nullable=False),
    sa.Column('bytes', sa.BigInteger(), nullable=False),
    sa.Column('under_way', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('owner', name=op.f('pk_upload_usage')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_table('uploads',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('owner', Key(length=64), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('content_type', Key(length=100), nullable=False),
    sa.Column('purpose', Key(length=12), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('sha256', Key(length=64), nullable=False),
    sa.Column('state', Key(length=12), nullable=False),
    sa.Column('reason', Key(length=40), nullable=True),
    sa.Column('multipart', Key(length=512), nullable=True),
    sa.Column('part_digests', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('verdict', Key(length=12), nullable=True),
    sa.Column('scanned_etag', Key(length=100), nullable=True),
    sa.Column('expires_at', UtcDateTime(), nullable=False),
    sa.Column('due_at', UtcDateTime(), nullable=True),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint("state IN ('pending', 'scanning', 'clean', 'rejected', 'deleted')", name=op.f('ck_uploads_state')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_uploads')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index('ix_uploads_due_at', 'uploads', ['due_at'], unique=False)


def downgrade() -> None:
    op.drop_index('ix_uploads_due_at', table_name='uploads')
    op.drop_table('uploads')
    op.drop_table('upload_usage')
