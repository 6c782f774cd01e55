"""Room in the audit trail for the ARN of an operator."""

import sqlalchemy as sa
from alembic import op

from app.core.database.engine import Key

revision = '0005'
down_revision = '0004'
branch_labels = None
depends_on = None


def _widen(before: int, after: int) -> None:
    # SQLite doesn't enforce the length of a text, and can change a column only by copying its table.
    with op.batch_alter_table('audit_entries') as table:
        table.alter_column('actor', existing_type=Key(length=before), type_=Key(length=after), existing_nullable=False)


def upgrade() -> None:
    _widen(64, 640)


def downgrade() -> None:
    op.execute(sa.text("UPDATE audit_entries SET actor = SUBSTR(actor, 1, 64) WHERE LENGTH(actor) > 64"))
    _widen(640, 64)
