"""Posts, categories, inquiries, files, audit trail, outbox."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

from app.core.database.engine import Key, UtcDateTime

revision = '0001'
down_revision = None
branch_labels = None
depends_on = None

LONG_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
SEARCH_TEXT = sa.Text().with_variant(mysql.MEDIUMTEXT(collation="utf8mb4_bin"), "mysql", "mariadb")

# The trigram index keeps no text of its own: it reads `posts` by rowid. A VACUUM may renumber rowids, so after one
# the index must be rebuilt: INSERT INTO post_search (post_search) VALUES ('rebuild').
SQLITE_SEARCH = (
    """CREATE VIRTUAL TABLE post_search
       USING fts5(search_text, content='posts', content_rowid='rowid', tokenize='trigram')""",
    """CREATE TRIGGER post_search_insert AFTER INSERT ON posts WHEN new.search_text IS NOT NULL BEGIN
         INSERT INTO post_search (rowid, search_text) VALUES (new.rowid, new.search_text);
       END""",
    """CREATE TRIGGER post_search_update AFTER UPDATE OF search_text ON posts BEGIN
         INSERT INTO post_search (post_search, rowid, search_text)
           SELECT 'delete', old.rowid, old.search_text WHERE old.search_text IS NOT NULL;
         INSERT INTO post_search (rowid, search_text)
           SELECT new.rowid, new.search_text WHERE new.search_text IS NOT NULL;
       END""",
    """CREATE TRIGGER post_search_delete AFTER DELETE ON posts WHEN old.search_text IS NOT NULL BEGIN
         INSERT INTO post_search (post_search, rowid, search_text)
           VALUES ('delete', old.rowid, old.search_text);
       END""",
)

MYSQL_SEARCH = (
    # The ngram parser drops every pair of characters that holds a stopword, and "a" and "i" are stopwords:
    # English could not be found. The setting counts when the index is made, and only this migration sets it.
    "SET SESSION innodb_ft_enable_stopword = OFF",
    "CREATE FULLTEXT INDEX post_search ON posts (search_text) WITH PARSER ngram",
    "SET SESSION innodb_ft_enable_stopword = ON",
)


def _search_statements() -> tuple[str, ...]:
    dialect = op.get_bind().dialect
    if dialect.name == "sqlite":
        return SQLITE_SEARCH
    # MariaDB has no ngram parser; search falls back to comparing substrings there.
    return () if getattr(dialect, "is_mariadb", False) else MYSQL_SEARCH


def upgrade() -> None:
    op.create_table('attachments',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('name', sa.String(length=255), nullable=False),
    sa.Column('content_type', Key(length=100), nullable=False),
    sa.Column('size', sa.BigInteger(), nullable=False),
    sa.Column('object_key', Key(length=255), nullable=False),
    sa.Column('created_by', Key(length=64), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_attachments')),
    sa.UniqueConstraint('object_key', name=op.f('uq_attachments_object_key')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_table('audit_entries',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('at', UtcDateTime(), nullable=False),
    sa.Column('actor', Key(length=64), nullable=False),
    sa.Column('action', Key(length=64), nullable=False),
    sa.Column('target', Key(length=100), nullable=False),
    sa.Column('detail', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('correlation_id', Key(length=64), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_audit_entries')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_audit_entries_at'), 'audit_entries', ['at'], unique=False)
    op.create_index(op.f('ix_audit_entries_target'), 'audit_entries', ['target'], unique=False)
    op.create_table('categories',
    sa.Column('slug', Key(length=60), nullable=False),
    sa.Column('name_ko', sa.String(length=100), nullable=False),
    sa.Column('name_en', sa.String(length=100), nullable=False),
    sa.Column('position', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('slug', name=op.f('pk_categories')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_table('category_list',
    sa.Column('id', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_category_list')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_table('idempotency_keys',
    sa.Column('scope', Key(length=100), nullable=False),
    sa.Column('key', Key(length=100), nullable=False),
    sa.Column('request_hash', sa.String(length=64), nullable=False),
    sa.Column('created_id', sa.Uuid(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.PrimaryKeyConstraint('scope', 'key', name=op.f('pk_idempotency_keys')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_idempotency_keys_created_at'), 'idempotency_keys', ['created_at'], unique=False)
    op.create_table('inquiries',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('company', sa.String(length=100), nullable=False),
    sa.Column('name', sa.String(length=100), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('subject', sa.String(length=200), nullable=False),
    sa.Column('message', LONG_TEXT, nullable=False),
    sa.Column('referral', sa.String(length=100), nullable=False),
    sa.Column('consented_at', UtcDateTime(), nullable=False),
    sa.Column('status', Key(length=12), nullable=False),
    sa.Column('note', LONG_TEXT, nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint("status IN ('new', 'in_progress', 'done')", name=op.f('ck_inquiries_status')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_inquiries')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index('ix_inquiries_status_id', 'inquiries', ['status', 'id'], unique=False)
    op.create_table('outbox',
    sa.Column('id', sa.BigInteger().with_variant(sa.Integer(), 'sqlite'), autoincrement=True, nullable=False),
    sa.Column('aggregate', Key(length=64), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('kind', Key(length=64), nullable=False),
    sa.Column('data', sa.JSON(none_as_null=True), nullable=False),
    sa.Column('snapshot', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('correlation_id', Key(length=64), nullable=False),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_outbox')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_table('posts',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('slug', Key(length=120), nullable=False),
    sa.Column('lang', Key(length=2), nullable=False),
    sa.Column('category', Key(length=60), nullable=False),
    sa.Column('translation_key', sa.Uuid(), nullable=False),
    sa.Column('state', Key(length=12), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('revision', sa.Integer(), nullable=False),
    sa.Column('published_revision', sa.Integer(), nullable=True),
    sa.Column('published_category', Key(length=60), nullable=True),
    sa.Column('first_published_at', UtcDateTime(), nullable=True),
    sa.Column('scheduled_at', UtcDateTime(), nullable=True),
    sa.Column('created_by', Key(length=64), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.Column('search_text', SEARCH_TEXT, nullable=True),
    sa.CheckConstraint("state IN ('draft', 'scheduled', 'published', 'archived')", name=op.f('ck_posts_state')),
    sa.ForeignKeyConstraint(['category'], ['categories.slug'], name=op.f('fk_posts_category')),
    sa.ForeignKeyConstraint(['published_category'], ['categories.slug'], name=op.f('fk_posts_published_category')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_posts')),
    sa.UniqueConstraint('slug', name=op.f('uq_posts_slug')),
    sa.UniqueConstraint('translation_key', 'lang', name=op.f('uq_posts_translation_key_lang')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index('ix_posts_state_first_published_at_id', 'posts', ['state', 'first_published_at', 'id'], unique=False)
    op.create_index('ix_posts_state_scheduled_at', 'posts', ['state', 'scheduled_at'], unique=False)
    op.create_table('post_revisions',
    sa.Column('post_id', sa.Uuid(), nullable=False),
    sa.Column('number', sa.Integer(), autoincrement=False, nullable=False),
    sa.Column('title', sa.String(length=200), nullable=False),
    sa.Column('excerpt', sa.String(length=500), nullable=False),
    sa.Column('body', LONG_TEXT, nullable=False),
    sa.Column('tags', sa.JSON(), nullable=False),
    sa.Column('thumbnail', sa.JSON(none_as_null=True), nullable=True),
    sa.Column('attachments', sa.JSON(), nullable=False),
    sa.Column('created_by', Key(length=64), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.ForeignKeyConstraint(['post_id'], ['posts.id'], name=op.f('fk_post_revisions_post_id')),
    sa.PrimaryKeyConstraint('post_id', 'number', name=op.f('pk_post_revisions')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.execute("INSERT INTO category_list (id, version) VALUES (1, 1)")
    for statement in _search_statements():
        op.execute(statement)


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE post_search")
    op.drop_table('post_revisions')
    op.drop_index('ix_posts_state_scheduled_at', table_name='posts')
    op.drop_index('ix_posts_state_first_published_at_id', table_name='posts')
    op.drop_table('posts')
    op.drop_table('outbox')
    op.drop_index('ix_inquiries_status_id', table_name='inquiries')
    op.drop_table('inquiries')
    op.drop_index(op.f('ix_idempotency_keys_created_at'), table_name='idempotency_keys')
    op.drop_table('idempotency_keys')
    op.drop_table('category_list')
    op.drop_table('categories')
    op.drop_index(op.f('ix_audit_entries_target'), table_name='audit_entries')
    op.drop_index(op.f('ix_audit_entries_at'), table_name='audit_entries')
    op.drop_table('audit_entries')
    op.drop_table('attachments')
