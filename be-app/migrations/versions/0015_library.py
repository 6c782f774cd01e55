"""What owners say of their uploads for the media library, and where replaced pictures stand."""

import sqlalchemy as sa
from alembic import op

revision = '0015'
down_revision = '0014'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('uploads', sa.Column('alt', sa.JSON(none_as_null=True), nullable=True))
    op.add_column('uploads', sa.Column('focus', sa.JSON(none_as_null=True), nullable=True))
    op.add_column('uploads', sa.Column('shared', sa.Boolean(), server_default=sa.text('0'), nullable=False))
    op.add_column('uploads', sa.Column('stored_as', sa.Uuid(), nullable=True))


def downgrade() -> None:
    for column in ('stored_as', 'shared', 'focus', 'alt'):
        op.drop_column('uploads', column)
