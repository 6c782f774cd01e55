"""Members."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key, UtcDateTime

revision = '0002'
down_revision = '0001'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table('members',
    sa.Column('id', sa.Uuid(), nullable=False),
    sa.Column('issuer', Key(length=255), nullable=False),
    sa.Column('subject', Key(length=255), nullable=False),
    sa.Column('email', sa.String(length=254), nullable=False),
    sa.Column('name', sa.String(length=200), nullable=False),
    sa.Column('role', Key(length=12), nullable=True),
    sa.Column('group_role', Key(length=12), nullable=True),
    sa.Column('disabled_at', UtcDateTime(), nullable=True),
    sa.Column('seen_at', UtcDateTime(), nullable=False),
    sa.Column('version', sa.Integer(), nullable=False),
    sa.Column('created_at', UtcDateTime(), nullable=False),
    sa.Column('updated_at', UtcDateTime(), nullable=False),
    sa.CheckConstraint("role IN ('admin', 'editor', 'viewer')", name=op.f('ck_members_role')),
    sa.CheckConstraint("group_role IN ('admin', 'editor', 'viewer')", name=op.f('ck_members_group_role')),
    sa.PrimaryKeyConstraint('id', name=op.f('pk_members')),
    sa.UniqueConstraint('issuer', 'subject', name=op.f('uq_members_issuer_subject')),
    mysql_charset='utf8mb4',
    mysql_collate='utf8mb4_unicode_520_ci',
    mysql_engine='InnoDB'
    )
    op.create_index(op.f('ix_members_email'), 'members', ['email'], unique=False)


def downgrade() -> None:
    op.drop_index(op.f('ix_members_email'), table_name='members')
    op.drop_table('members')
