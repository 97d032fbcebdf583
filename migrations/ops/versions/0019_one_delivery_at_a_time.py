"""One delivery at a time to a webhook, the oldest event first.

Revision: 0019
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let at most one delivery to a webhook be on its way. What is on its way now comes again when its lease ends."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("SET LOCAL app.all_vendors = 'on'")
    op.execute("UPDATE webhook_deliveries SET status = 'pending' WHERE status = 'sending'")
    op.execute("SET LOCAL app.all_vendors = ''")
    op.execute("""
        CREATE UNIQUE INDEX webhook_deliveries_held ON webhook_deliveries (vendor_id, endpoint_id) WHERE status = 'sending'
        """)
    op.execute("DROP INDEX webhook_deliveries_due")
    op.execute("""
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (vendor_id, endpoint_id, event_id)
        WHERE status IN ('pending', 'sending')
        """)


def downgrade() -> None:
    """Let several be on their way."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP INDEX webhook_deliveries_held, webhook_deliveries_due")
    op.execute("""
        CREATE INDEX webhook_deliveries_due ON webhook_deliveries (vendor_id, endpoint_id, due_at)
        WHERE status IN ('pending', 'sending')
        """)
