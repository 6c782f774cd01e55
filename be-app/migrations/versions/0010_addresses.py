"""Slugs under which posts were public before, slugs as wishes until they are claimed, and redirects."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime

revision = '0010'
down_revision = '0009'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('former_slugs',
    sa.Column('slug', Key(length=120), nullable=False),
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_former_slugs_post_id')),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_former_slugs')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_former_slugs_post_id'), 'former_slugs', ['post_id'], unique=False)
    op.create_table('redirects',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('path', Key(length=500), nullable=False),
    sa.Column('target', Key(length=500), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_redirects')),
    sa.UniqueConstraint('path', name=op.f('uq_redirects_path')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_redirects_target'), 'redirects', ['target'], unique=False)
    redirect_list = op.create_table('redirect_list',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_redirect_list')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.bulk_insert(redirect_list, [{'id': 1, 'version': 0}])
    # The previous release shows and claims wishes, too.
    names = ('id', 'slug', 'wished_slug', 'state', 'first_published_at')
    posts = sa.table('posts', *(sa.column(name, sa.String()) for name in names))
    unclaimed = sa.and_(
        posts.c.wished_slug.is_(None), posts.c.first_published_at.is_(None), posts.c.state != 'scheduled'
    )
    op.execute(sa.update(posts).where(unclaimed).values(wished_slug=posts.c.slug))
    # In a statement of its own: MySQL takes columns' new values for those on their right.
    held = sa.and_(
        posts.c.wished_slug == posts.c.slug, posts.c.first_published_at.is_(None), posts.c.state != 'scheduled'
    )
    op.execute(sa.update(posts).where(held).values(slug=sa.literal('~') + posts.c.id))


def downgrade() -> None:
    op.drop_table('redirect_list')
    op.drop_table('redirects')
    op.drop_table('former_slugs')
