"""Where a vendor wants to be told of paid orders.

Revision: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

SEALED = "sealed[.][0-9a-f]{8}[.]n[A-Za-z0-9_-]+[.]"


def upgrade() -> None:
    """Add the phone, as it is or sealed."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(f"ALTER TABLE vendors ADD COLUMN alert_phone text CHECK (alert_phone ~ '^(254[0-9]{{9}}|{SEALED})$')")


def downgrade() -> None:
    """Drop it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("ALTER TABLE vendors DROP COLUMN alert_phone")
