"""How much an inquiry looks like spam."""

import sqlalchemy as sa
from alembic import op

revision = '0009'
down_revision = '0008'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('inquiries', sa.Column('spam_score', sa.Integer(), nullable=True))


def downgrade() -> None:
    op.drop_column('inquiries', 'spam_score')
