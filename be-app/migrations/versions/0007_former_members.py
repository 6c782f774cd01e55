"""When a member left and their name and e-mail address were erased."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import UtcDateTime

revision = '0007'
down_revision = '0006'
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column('members', sa.Column('erased_at', UtcDateTime(), nullable=True))


def downgrade() -> None:
    op.drop_column('members', 'erased_at')
