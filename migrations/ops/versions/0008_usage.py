"""Usage by category and Nairobi day, never changed once written.

Revision: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE usage_records
      ADD COLUMN category text NOT NULL DEFAULT '',
      ADD COLUMN day date NOT NULL GENERATED ALWAYS AS ((at AT TIME ZONE 'Africa/Nairobi')::date) STORED
    """,
    "CREATE INDEX usage_records_by_day ON usage_records (vendor_id, day, meter, category) INCLUDE (quantity)",
    """
    CREATE TRIGGER usage_records_append_only BEFORE UPDATE OR DELETE ON usage_records
      FOR EACH ROW EXECUTE FUNCTION append_only()
    """,
)


def upgrade() -> None:
    """Add the columns, the index and the guard."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER usage_records_append_only ON usage_records")
    op.execute("DROP INDEX usage_records_by_day")
    op.execute("ALTER TABLE usage_records DROP COLUMN day, DROP COLUMN category")
