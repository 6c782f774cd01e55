"""What search engines and messengers read of a post, and links that show one revision without a login."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime

revision = '0011'
down_revision = '0010'
branch_labels = None
depends_on = None


def upgrade() -> None:
    # The previous release writes revisions, too, and knows none of these.
    op.add_column('post_revisions', sa.Column('description', sa.String(length=300), server_default='', nullable=False))
    op.add_column('post_revisions', sa.Column('canonical_url', sa.String(length=500), nullable=True))
    op.add_column('post_revisions', sa.Column('noindex', sa.Boolean(), server_default=sa.false(), nullable=False))
    op.create_table('preview_links',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('token_hash', Key(length=64), nullable=False),
    sa.Column('created_by', Key(length=64), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['post_id', 'revision'], ['post_revisions.post_id', 'post_revisions.number'], name=op.f('fk_preview_links_post_id_revision'), ondelete='CASCADE'),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_preview_links')),
    sa.UniqueConstraint('token_hash', name=op.f('uq_preview_links_token_hash')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_preview_links_post_id_revision'), 'preview_links', ['post_id', 'revision'], unique=False)


def downgrade() -> None:
    op.drop_table('preview_links')
    for column in ('noindex', 'canonical_url', 'description'):
        op.drop_column('post_revisions', column)
