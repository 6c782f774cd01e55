"""Which member answers an inquiry."""

import sqlalchemy as sa
from alembic import op

revision = '0008'
down_revision = '0007'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('inquiries', sa.Column('assignee', sa.Uuid(), nullable=True))


def downgrade() -> None:
    op.drop_column('inquiries', 'assignee')
