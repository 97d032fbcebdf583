"""What a vendor is told belongs to no conversation: it is kept once for its cause.

Revision: 0017
"""

from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Let rows in that have a cause in place of a conversation."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("""
        ALTER TABLE outbox ALTER conversation_id DROP NOT NULL, ADD COLUMN cause text,
          ADD CONSTRAINT outbox_conversation_or_cause CHECK ((conversation_id IS NULL) = (cause IS NOT NULL)),
          ADD CONSTRAINT outbox_vendor_id_cause_key UNIQUE (vendor_id, cause)
        """)


def downgrade() -> None:
    """Keep them out. Fails where there is one."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("ALTER TABLE outbox ALTER conversation_id SET NOT NULL, DROP COLUMN cause")
