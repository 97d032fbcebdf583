"""Money that was paid by hand: what M-Pesa reports of a shortcode, the addresses it reports to, and money nobody could match.

Revision: 0012
"""

from alembic import op

revision = "0012"
down_revision = "0011"
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
REPORTS = """UNION SELECT 'settle', vendor_id FROM money_reports
          WHERE 'settle' = ANY(kinds) AND handled_at IS NULL AND coalesce(try_again_at, at) <= at
        UNION SELECT 'pull', vendor_id FROM vendor_shortcodes WHERE 'pull' = ANY(kinds) AND next_pull_at <= at
        """
MONEY = """
    CREATE OR REPLACE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'money received is never deleted';
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.shortcode_id, NEW.amount, NEW.paid_at{frozen})
         IS DISTINCT FROM (OLD.vendor_id, OLD.id, OLD.shortcode_id, OLD.amount, OLD.paid_at{was})
         OR (OLD.receipt IS NOT NULL AND NEW.receipt IS DISTINCT FROM OLD.receipt)
         OR (OLD.{owner} IS NOT NULL AND (NEW.intent_id, NEW.order_id) IS DISTINCT FROM (OLD.intent_id, OLD.order_id)) THEN
        RAISE EXCEPTION 'the receipt and the amount of money received never change';
      END IF;
      RETURN NEW;
    END $$
    """
UP = (
    """
    ALTER TABLE vendor_shortcodes
      ADD COLUMN c2b_registered_at timestamptz,
      ADD COLUMN pull_registered_at timestamptz,
      ADD COLUMN pulled_until timestamptz,
      ADD COLUMN next_pull_at timestamptz
    """,
    # M-Pesa may hold any address it was ever told, so none is deleted. Only the token's hash is kept.
    """
    CREATE TABLE c2b_addresses (
      vendor_id uuid NOT NULL,
      token_sha256 bytea NOT NULL CHECK (octet_length(token_sha256) = 32),
      shortcode_id uuid NOT NULL,
      made_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, token_sha256),
      FOREIGN KEY (vendor_id, shortcode_id) REFERENCES vendor_shortcodes (vendor_id, id)
    )
    """,
    "SELECT build_vendor_wall('c2b_addresses')",
    """
    CREATE TABLE money_reports (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      shortcode_id uuid NOT NULL,
      channel text NOT NULL CHECK (channel IN ('c2b', 'pull')),
      body text NOT NULL CHECK (octet_length(body) <= 16384),
      body_sha256 bytea NOT NULL,
      peer text,
      seen_count integer NOT NULL DEFAULT 1 CHECK (seen_count > 0),
      received_at timestamptz NOT NULL,
      try_again_at timestamptz,
      handled_at timestamptz,
      verdict text,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, shortcode_id, channel, body_sha256),
      FOREIGN KEY (vendor_id, shortcode_id) REFERENCES vendor_shortcodes (vendor_id, id),
      CONSTRAINT money_reports_body_and_hash_agree CHECK (body_sha256 = sha256(convert_to(body, 'UTF8'))),
      CONSTRAINT money_reports_handled_has_a_verdict CHECK (handled_at IS NULL OR verdict IS NOT NULL)
    )
    """,
    "SELECT build_vendor_wall('money_reports')",
    "CREATE INDEX money_reports_unhandled ON money_reports (vendor_id, id) WHERE handled_at IS NULL",
    """
    CREATE FUNCTION money_reports_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'what M-Pesa reported is never deleted';
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.shortcode_id, NEW.channel, NEW.body, NEW.body_sha256, NEW.received_at) IS DISTINCT FROM
         (OLD.vendor_id, OLD.id, OLD.shortcode_id, OLD.channel, OLD.body, OLD.body_sha256, OLD.received_at)
         OR NEW.seen_count < OLD.seen_count
         OR (OLD.handled_at IS NOT NULL AND (NEW.handled_at, NEW.verdict) IS DISTINCT FROM (OLD.handled_at, OLD.verdict)) THEN
        RAISE EXCEPTION 'a report of money is kept as it came, and judged once';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER money_reports_guard BEFORE UPDATE OR DELETE ON money_reports
      FOR EACH ROW EXECUTE FUNCTION money_reports_guard()
    """,
    "CREATE TRIGGER money_reports_kept BEFORE TRUNCATE ON money_reports FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    # Money without an order says why, and who has given it one later.
    """
    ALTER TABLE payments
      ADD COLUMN account text,
      ADD COLUMN unmatched_because text,
      ADD COLUMN assigned_by text,
      ADD COLUMN assigned_because text,
      ADD CONSTRAINT payments_unmatched_says_why CHECK (order_id IS NOT NULL OR unmatched_because IS NOT NULL),
      ADD CONSTRAINT payments_intent_has_its_order CHECK (intent_id IS NULL OR order_id IS NOT NULL),
      ADD CONSTRAINT payments_assigned_says_why CHECK ((assigned_by IS NULL) = (assigned_because IS NULL))
    """,
    "CREATE INDEX payments_unmatched ON payments (vendor_id, paid_at) WHERE order_id IS NULL",
    MONEY.format(
        owner="order_id",
        frozen=", NEW.unmatched_because",
        was=", OLD.unmatched_because",
    ),
    WORK.format(more=REPORTS),
)
DOWN = (
    WORK.format(more=""),
    MONEY.format(owner="intent_id", frozen="", was=""),
    "DROP INDEX payments_unmatched",
    """
    ALTER TABLE payments DROP CONSTRAINT payments_unmatched_says_why, DROP CONSTRAINT payments_intent_has_its_order,
      DROP CONSTRAINT payments_assigned_says_why,
      DROP COLUMN account, DROP COLUMN unmatched_because, DROP COLUMN assigned_by, DROP COLUMN assigned_because
    """,
    "DROP TABLE money_reports, c2b_addresses",
    "DROP FUNCTION money_reports_guard()",
    """
    ALTER TABLE vendor_shortcodes DROP COLUMN c2b_registered_at, DROP COLUMN pull_registered_at, DROP COLUMN pulled_until,
      DROP COLUMN next_pull_at
    """,
)


def upgrade() -> None:
    """Add the tables, the columns and the guards."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take them away again."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in DOWN:
        op.execute(statement)
