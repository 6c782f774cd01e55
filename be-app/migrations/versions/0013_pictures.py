"""Renditions of images, pictures in posts, and which of them are public."""

import sqlalchemy as sa
from alembic import op

from app.core.database.fulltext import without_stopwords

revision = '0013'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('uploads', sa.Column('picture', sa.JSON(none_as_null=True), nullable=True))
    with without_stopwords():
        op.add_column('posts', sa.Column('media', sa.JSON(none_as_null=True), nullable=True))
    op.add_column('post_revisions', sa.Column('pictures', sa.JSON(), nullable=True))
    op.add_column('post_revisions', sa.Column('warnings', sa.JSON(), nullable=True))
    op.add_column('outbox', sa.Column('files', sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column('outbox', 'files')
    op.drop_column('post_revisions', 'warnings')
    op.drop_column('post_revisions', 'pictures')
    with without_stopwords():
        op.drop_column('posts', 'media')
    op.drop_column('uploads', 'picture')
