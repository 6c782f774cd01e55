"""When a post's public text changed, what a snippet is cut from, and what a draft wishes to be found under."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from app.core.database.engine import Key, UtcDateTime
from app.core.database.fulltext import without_stopwords

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


def upgrade() -> None:
    with without_stopwords():
        op.add_column('posts', sa.Column('published_at', UtcDateTime(), nullable=True))
        op.add_column('posts', sa.Column('plain_text', LONG_TEXT, nullable=True))
        op.add_column('posts', sa.Column('wished_slug', Key(length=120), nullable=True))
        op.add_column('posts', sa.Column('wished_translation_key', sa.Uuid(), nullable=True))
        op.create_index('ix_posts_wished_slug', 'posts', ['wished_slug'], unique=False)
        op.create_index('ix_posts_wished_translation_key', 'posts', ['wished_translation_key'], unique=False)


def downgrade() -> None:
    with without_stopwords():
        op.drop_index('ix_posts_wished_translation_key', table_name='posts')
        op.drop_index('ix_posts_wished_slug', table_name='posts')
        op.drop_column('posts', 'wished_translation_key')
        op.drop_column('posts', 'wished_slug')
        op.drop_column('posts', 'plain_text')
        op.drop_column('posts', 'published_at')
