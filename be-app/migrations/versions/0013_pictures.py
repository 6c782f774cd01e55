"""Renditions of images."""

import sqlalchemy as sa
from alembic import op

revision = '0013'
down_revision = '0011'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('uploads', sa.Column('picture', sa.JSON(none_as_null=True), nullable=True))


def downgrade() -> None:
    op.drop_column('uploads', 'picture')
