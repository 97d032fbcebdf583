"""What the HTTP API answered to a write with an Idempotency-Key, so that a repeat gets the same answer and does nothing.

Revision: 0009
"""

from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE api_answers (
      vendor_id uuid NOT NULL,
      key text NOT NULL CHECK (char_length(key) BETWEEN 1 AND 255),
      request_sha256 bytea NOT NULL CHECK (octet_length(request_sha256) = 32),
      answer jsonb,
      at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, key)
    )
    """,
    "SELECT build_vendor_wall('api_answers')",
    "CREATE INDEX orders_by_age ON orders (vendor_id, created_at, id)",
    "CREATE INDEX customers_by_age ON customers (vendor_id, created_at, id)",
)


def upgrade() -> None:
    """Make the table, and the indexes that pages are read by."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP INDEX orders_by_age, customers_by_age")
    op.execute("DROP TABLE api_answers")
