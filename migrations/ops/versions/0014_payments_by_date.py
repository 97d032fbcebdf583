"""Payments in the order in which the API lists them.

Revision: 0014
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the index."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("CREATE INDEX payments_by_date ON payments (vendor_id, paid_at, id)")


def downgrade() -> None:
    """Drop it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP INDEX payments_by_date")
