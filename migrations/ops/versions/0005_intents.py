"""What a classifier made of a message stays with it, so that a retried turn hears the same.

Revision: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the intent: NULL was never asked for, '' is none of those known."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("ALTER TABLE inbox ADD COLUMN intent text")


def downgrade() -> None:
    """Forget it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("ALTER TABLE inbox DROP COLUMN intent")
