"""How many of each item are free to be sold, and which lines of confirmed orders hold some, until paid or overdue.

Revision: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

WORK = """
    CREATE OR REPLACE FUNCTION vendors_with_work(kinds text[], at timestamptz) RETURNS TABLE (kind text, vendor_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    #variable_conflict use_column
    BEGIN
      PERFORM set_config('app.all_vendors', 'on', true);
      RETURN QUERY
        SELECT 'send', vendor_id FROM outbox
          WHERE 'send' = ANY(kinds) AND status IN ('pending', 'unknown') AND due_at <= at
        UNION SELECT 'send', vendor_id FROM outbox WHERE 'send' = ANY(kinds) AND status = 'sending' AND lease_until <= at
        UNION SELECT 'push', vendor_id FROM stk_attempts WHERE 'push' = ANY(kinds) AND status = 'prepared' AND due_at <= at
        UNION SELECT 'query', vendor_id FROM stk_attempts WHERE 'query' = ANY(kinds) AND next_query_at <= at
        UNION SELECT 'settle', vendor_id FROM callbacks
          WHERE 'settle' = ANY(kinds) AND handled_at IS NULL AND coalesce(try_again_at, at) <= at
        UNION SELECT 'turn', vendor_id FROM inbox i
          WHERE 'turn' = ANY(kinds) AND i.kind = 'event' AND handled_at IS NULL AND failed_at IS NULL
        UNION SELECT 'turn', vendor_id FROM timers WHERE 'turn' = ANY(kinds) AND fired_at IS NULL AND due_at <= at;
      PERFORM set_config('app.all_vendors', '', true);
    END $$
    """
EXPIRING = """
    CREATE OR REPLACE FUNCTION vendors_with_work(kinds text[], at timestamptz) RETURNS TABLE (kind text, vendor_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    #variable_conflict use_column
    BEGIN
      PERFORM set_config('app.all_vendors', 'on', true);
      RETURN QUERY
        SELECT 'send', vendor_id FROM outbox
          WHERE 'send' = ANY(kinds) AND status IN ('pending', 'unknown') AND due_at <= at
        UNION SELECT 'send', vendor_id FROM outbox WHERE 'send' = ANY(kinds) AND status = 'sending' AND lease_until <= at
        UNION SELECT 'push', vendor_id FROM stk_attempts WHERE 'push' = ANY(kinds) AND status = 'prepared' AND due_at <= at
        UNION SELECT 'query', vendor_id FROM stk_attempts WHERE 'query' = ANY(kinds) AND next_query_at <= at
        UNION SELECT 'settle', vendor_id FROM callbacks
          WHERE 'settle' = ANY(kinds) AND handled_at IS NULL AND coalesce(try_again_at, at) <= at
        UNION SELECT 'turn', vendor_id FROM inbox i
          WHERE 'turn' = ANY(kinds) AND i.kind = 'event' AND handled_at IS NULL AND failed_at IS NULL
        UNION SELECT 'turn', vendor_id FROM timers WHERE 'turn' = ANY(kinds) AND fired_at IS NULL AND due_at <= at
        UNION SELECT 'expire', vendor_id FROM orders o
          WHERE 'expire' = ANY(kinds) AND status = 'CONFIRMED' AND confirmed_at <= at - interval '48 hours' AND NOT EXISTS (
            SELECT FROM payment_intents i WHERE i.vendor_id = o.vendor_id AND i.order_id = o.id
              AND i.status IN ('consented', 'processing', 'needs_review'));
      PERFORM set_config('app.all_vendors', '', true);
    END $$
    """
UP = (
    """
    CREATE TABLE stock_levels (
      vendor_id uuid NOT NULL,
      item_id uuid NOT NULL,
      count_no integer NOT NULL,
      free integer NOT NULL CHECK (free >= 0),
      PRIMARY KEY (vendor_id, item_id)
    )
    """,
    "SELECT build_vendor_wall('stock_levels')",
    "ALTER TABLE order_lines ADD COLUMN held boolean NOT NULL DEFAULT false",
    "CREATE INDEX orders_confirmed ON orders (vendor_id, confirmed_at) WHERE status = 'CONFIRMED'",
    EXPIRING,
)


def upgrade() -> None:
    """Make the table."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(WORK)
    op.execute("DROP INDEX orders_confirmed")
    op.execute("ALTER TABLE order_lines DROP COLUMN held")
    op.execute("DROP TABLE stock_levels")
