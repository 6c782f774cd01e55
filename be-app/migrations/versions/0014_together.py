"""Shares, working copies, the version of a post that each revision began with, and plans of what is published until when."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime
from app.core.database.fulltext import without_stopwords

revision = '0014'
down_revision = '0013'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('post_revisions', sa.Column('post_version', sa.Integer(), nullable=True))
    with without_stopwords():
        op.add_column('posts', sa.Column('scheduled_revision', sa.Integer(), nullable=True))
        op.add_column('posts', sa.Column('scheduled_category', Key(length=60), nullable=True))
        op.add_column('posts', sa.Column('scheduled_zone', Key(length=64), nullable=True))
        op.add_column('posts', sa.Column('unpublish_at', UtcDateTime(), nullable=True))
        op.add_column('posts', sa.Column('unpublish_zone', Key(length=64), nullable=True))
    op.create_index('ix_posts_state_unpublish_at', 'posts', ['state', 'unpublish_at'], unique=False)
    op.create_table('post_shares',
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('member_id', Key(length=64), nullable=False),
    sa.Column('can_edit', sa.Boolean(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_post_shares_post_id')),
    sa.PrimaryKeyConstraint('post_id', 'member_id', name=op.f('pk_post_shares')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_post_shares_member_id'), 'post_shares', ['member_id'], unique=False)
    op.create_table('working_copies',
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('editor', Key(length=64), nullable=False),
    sa.Column('base_version', sa.Integer(), nullable=False),
    sa.Column('content', sa.JSON(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.Column('expires_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_working_copies_post_id')),
    sa.PrimaryKeyConstraint('post_id', 'editor', name=op.f('pk_working_copies')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_working_copies_expires_at'), 'working_copies', ['expires_at'], unique=False)


def downgrade() -> None:
    op.drop_table('working_copies')
    op.drop_table('post_shares')
    op.drop_index('ix_posts_state_unpublish_at', table_name='posts')
    with without_stopwords():
        for column in ('unpublish_zone', 'unpublish_at', 'scheduled_zone', 'scheduled_category', 'scheduled_revision'):
            op.drop_column('posts', column)
    op.drop_column('post_revisions', 'post_version')
