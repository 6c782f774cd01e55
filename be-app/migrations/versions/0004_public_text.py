"""When a post's public text changed, what a snippet is cut from, and what a draft wishes to be found under."""

from collections.abc import Iterator
from contextlib import contextmanager

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from app.core.database.engine import Key, UtcDateTime

revision = '0004'
down_revision = '0003'
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")


@contextmanager
def _without_stopwords() -> Iterator[None]:
    """Let MySQL build the full-text index of `posts` again as 0001 made it: without stopwords.

    A table with such an index is rebuilt by every change of its columns, by the setting of that moment.
    """
    dialect = op.get_bind().dialect
    applies = dialect.name == "mysql" and not getattr(dialect, "is_mariadb", False)
    if applies:
        op.execute("SET SESSION innodb_ft_enable_stopword = OFF")
    yield
    if applies:
        op.execute("SET SESSION innodb_ft_enable_stopword = ON")


def upgrade() -> None:
    with _without_stopwords():
        op.add_column('posts', sa.Column('published_at', UtcDateTime(), nullable=True))
        op.add_column('posts', sa.Column('plain_text', LONG_TEXT, nullable=True))
        op.add_column('posts', sa.Column('wished_slug', Key(length=120), nullable=True))
        op.add_column('posts', sa.Column('wished_translation_key', sa.Uuid(), nullable=True))
        op.create_index('ix_posts_wished_slug', 'posts', ['wished_slug'], unique=False)
        op.create_index('ix_posts_wished_translation_key', 'posts', ['wished_translation_key'], unique=False)


def downgrade() -> None:
    with _without_stopwords():
        op.drop_index('ix_posts_wished_translation_key', table_name='posts')
        op.drop_index('ix_posts_wished_slug', table_name='posts')
        op.drop_column('posts', 'wished_translation_key')
        op.drop_column('posts', 'wished_slug')
        op.drop_column('posts', 'plain_text')
        op.drop_column('posts', 'published_at')
