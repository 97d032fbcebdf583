"""Row-level security on every table: a session sees the rows of the vendor it names, and none without one.

`build_vendor_wall` builds it on one table; a later revision that makes a table calls it. What has to look across vendors
is a function that runs as the tables' owner, and answers one narrow question.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

WALL = (
    # A vendor that has moved to another ops database: its rows here are what it left behind.
    "CREATE TABLE departed_vendors (vendor_id uuid PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())",
    # app.vendor_id is '' after a transaction that set it, so a bare cast would fail where "no rows" is meant.
    """
    CREATE FUNCTION build_vendor_wall(target regclass) RETURNS void LANGUAGE plpgsql AS $$
    BEGIN
      EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY', target);
      EXECUTE format('CREATE POLICY vendor_wall ON %s USING '
                     '(vendor_id = nullif(current_setting(''app.vendor_id'', true), '''')::uuid)', target);
      -- For the owner alone, and only when it says so: the functions below, a dump, a copy.
      EXECUTE format('CREATE POLICY all_vendors ON %s TO CURRENT_USER USING '
                     '(current_setting(''app.all_vendors'', true) = ''on'')', target);
    END $$
    """,
    """
    SELECT build_vendor_wall(c.oid) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'p') AND a.attname = 'vendor_id'
    """,
    "ALTER VIEW message_log SET (security_invoker = true)",  # else it reads as its owner
    """
    CREATE FUNCTION vendors_with_work(kinds text[], at timestamptz) RETURNS TABLE (kind text, vendor_id uuid)
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    #variable_conflict use_column
    BEGIN
      PERFORM set_config('app.all_vendors', 'on', true);
      RETURN QUERY
        SELECT found.kind, found.vendor_id FROM (
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
        ) AS found (kind, vendor_id)
        WHERE NOT EXISTS (SELECT FROM departed_vendors gone WHERE gone.vendor_id = found.vendor_id);
      PERFORM set_config('app.all_vendors', '', true);
    END $$
    """,
    """
    CREATE FUNCTION is_receipt_known(wanted text) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE found_one boolean;
    BEGIN
      PERFORM set_config('app.all_vendors', 'on', true);
      found_one := EXISTS (SELECT FROM payments WHERE receipt = wanted);
      PERFORM set_config('app.all_vendors', '', true);
      RETURN found_one;
    END $$
    """,
    """
    CREATE FUNCTION has_prompt_in_the_way(
      phone text, but_not uuid, since timestamptz, same_amount integer, same_amount_since timestamptz) RETURNS boolean
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
    DECLARE found_one boolean;
    BEGIN
      PERFORM set_config('app.all_vendors', 'on', true);
      found_one := EXISTS (SELECT FROM stk_attempts
        WHERE msisdn = phone AND intent_id <> but_not
          AND (dispatched_at > since AND status IN ('dispatched', 'accepted', 'ambiguous')
               OR dispatched_at > same_amount_since AND amount = same_amount AND status NOT IN ('failed', 'rejected')));
      PERFORM set_config('app.all_vendors', '', true);
      RETURN found_one;
    END $$
    """,
)
ACROSS = (
    "vendors_with_work(text[], timestamptz)",
    "is_receipt_known(text)",
    "has_prompt_in_the_way(text, uuid, timestamptz, integer, timestamptz)",
)


def upgrade() -> None:
    """Build the wall, and the functions that look over it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in WALL:
        op.execute(statement)
    for function in ("build_vendor_wall(regclass)", *ACROSS):
        op.execute(f"REVOKE EXECUTE ON FUNCTION {function} FROM PUBLIC")


def downgrade() -> None:
    """Take it down."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for function in ("build_vendor_wall(regclass)", *ACROSS):
        op.execute(f"DROP FUNCTION {function}")
    op.execute("DROP TABLE departed_vendors")
    op.execute("ALTER VIEW message_log RESET (security_invoker)")
    op.execute(
        """
        DO $$
        DECLARE target record;
        BEGIN
          FOR target IN SELECT polrelid::regclass AS name, polname FROM pg_policy LOOP
            EXECUTE format('DROP POLICY %I ON %s', target.polname, target.name);
            EXECUTE format('ALTER TABLE %s DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY', target.name);
          END LOOP;
        END $$
        """
    )
