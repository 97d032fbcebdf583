"""The order that an event is about, so that the events of one order can be numbered.

Revision: 0015
"""

from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

# Columns that PostgreSQL computes are not there yet when a trigger looks, so the guard of an erasure has to leave this one out.
ERASED = """
    CREATE TRIGGER domain_events_only_erased BEFORE UPDATE OR DELETE ON domain_events FOR EACH ROW
      WHEN (current_setting('app.erasing', true) = 'on') EXECUTE FUNCTION only_erases({})
    """
UP = (
    """
    ALTER TABLE domain_events ADD COLUMN order_id text
      GENERATED ALWAYS AS (CASE WHEN starts_with(type, 'order_') THEN subject ELSE data ->> 'order_id' END) STORED
    """,
    "CREATE INDEX domain_events_by_order ON domain_events (vendor_id, order_id, id) WHERE order_id IS NOT NULL",
    "DROP TRIGGER domain_events_only_erased ON domain_events",
    ERASED.format("'data', 'order_id'"),
)
DOWN = (
    "DROP TRIGGER domain_events_only_erased ON domain_events",
    ERASED.format("'data'"),
    "DROP INDEX domain_events_by_order",
    "ALTER TABLE domain_events DROP COLUMN order_id",
)


def upgrade() -> None:
    """Add the column and its index."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in DOWN:
        op.execute(statement)
