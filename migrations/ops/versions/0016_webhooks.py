"""Vendors' webhooks: where events are delivered, and how each delivery stands.

Revision: 0016
"""

from alembic import op

revision = "0016"
down_revision = "0015"
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
        UNION SELECT 'settle', vendor_id FROM money_reports
          WHERE 'settle' = ANY(kinds) AND handled_at IS NULL AND coalesce(try_again_at, at) <= at
        UNION SELECT 'pull', vendor_id FROM vendor_shortcodes WHERE 'pull' = ANY(kinds) AND next_pull_at <= at
        {more}UNION SELECT 'turn', vendor_id FROM inbox i
          WHERE 'turn' = ANY(kinds) AND i.kind = 'event' AND handled_at IS NULL AND failed_at IS NULL
        UNION SELECT 'turn', vendor_id FROM timers WHERE 'turn' = ANY(kinds) AND fired_at IS NULL AND due_at <= at
        UNION SELECT 'expire', vendor_id FROM orders o
          WHERE 'expire' = ANY(kinds) AND status = 'CONFIRMED' AND confirmed_at <= at - interval '48 hours' AND NOT EXISTS (
            SELECT FROM payment_intents i WHERE i.vendor_id = o.vendor_id AND i.order_id = o.id
              AND i.status IN ('consented', 'processing', 'needs_review'));
      PERFORM set_config('app.all_vendors', '', true);
    END $$
    """
WEBHOOKS = """UNION SELECT 'webhook', vendor_id FROM webhook_endpoints w
          WHERE 'webhook' = ANY(kinds) AND disabled_at IS NULL AND (
            EXISTS (SELECT FROM domain_events e WHERE e.vendor_id = w.vendor_id
              AND (e.xid, e.id) > (w.cursor_xid, w.cursor_id) AND e.xid < pg_snapshot_xmin(pg_current_snapshot()))
            OR coalesce(w.rest_until, at) <= at AND EXISTS (SELECT FROM webhook_deliveries d
              WHERE d.vendor_id = w.vendor_id AND d.endpoint_id = w.id AND d.status IN ('pending', 'sending') AND d.due_at <= at))
        """
UP = (
    """
    CREATE TABLE webhook_endpoints (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL DEFAULT gen_random_uuid(),
      url text NOT NULL CHECK (char_length(url) BETWEEN 1 AND 500),
      types text[] CHECK (types <> '{}'),
      version integer NOT NULL DEFAULT 1 CHECK (version > 0),
      old_until timestamptz,
      cursor_xid xid8 NOT NULL,
      cursor_id bigint NOT NULL,
      created_at timestamptz NOT NULL,
      failures integer NOT NULL DEFAULT 0,
      failing_since timestamptz,
      rest_until timestamptz,
      disabled_at timestamptz,
      disabled_because text,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, url),
      CONSTRAINT webhook_endpoints_disabled_says_why CHECK ((disabled_at IS NULL) = (disabled_because IS NULL)),
      CONSTRAINT webhook_endpoints_failing_since_when CHECK ((failures = 0) = (failing_since IS NULL))
    )
    """,
    # `due_at` of one that is being sent is the end of its lease.
    """
    CREATE TABLE webhook_deliveries (
      vendor_id uuid NOT NULL,
      endpoint_id uuid NOT NULL,
      event_id bigint NOT NULL,
      status text NOT NULL DEFAULT 'pending' CHECK (status IN ('pending', 'sending', 'delivered', 'failed')),
      attempts integer NOT NULL DEFAULT 0,
      due_at timestamptz NOT NULL,
      answer integer,
      error text,
      ended_at timestamptz,
      PRIMARY KEY (vendor_id, endpoint_id, event_id),
      FOREIGN KEY (vendor_id, endpoint_id) REFERENCES webhook_endpoints ON DELETE CASCADE
    )
    """,
    "CREATE INDEX webhook_deliveries_due ON webhook_deliveries (vendor_id, endpoint_id, due_at)"
    " WHERE status IN ('pending', 'sending')",
    "CREATE INDEX webhook_deliveries_ended ON webhook_deliveries (vendor_id, ended_at) WHERE ended_at IS NOT NULL",
    "SELECT build_vendor_wall('webhook_endpoints')",
    "SELECT build_vendor_wall('webhook_deliveries')",
    WORK.format(more=WEBHOOKS),
)
DOWN = (WORK.format(more=""), "DROP TABLE webhook_deliveries, webhook_endpoints")


def upgrade() -> None:
    """Make the tables, and let the sweep find their work."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in DOWN:
        op.execute(statement)
