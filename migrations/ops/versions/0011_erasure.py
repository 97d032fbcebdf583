"""A customer can be erased: the guards of what never changes let the person go, and nothing else.

Revision: 0011
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None

# Under app.erasing each guard steps aside for `only_erases`, which refuses a change of any other column than those named.
# Columns that PostgreSQL computes are not there yet when a trigger looks, so they are named too.
ALL = "INSERT OR UPDATE OR DELETE"
GUARDS = (
    ("orders", "orders_guard", "orders_guard", ALL, "'idempotency_key', 'request_sha256', 'cancel_reason'"),
    ("payment_intents", "payment_intents_guard", "payment_intents_guard", ALL, "'msisdn'"),
    (
        "stk_attempts",
        "stk_attempts_guard",
        "stk_attempts_guard",
        ALL,
        "'msisdn', 'checkout_request_id', 'error', 'claimed_payer'",
    ),
    ("stk_attempts", "stk_attempts_claim_guard", "stk_attempts_claim_guard", "UPDATE", None),
    ("callbacks", "callbacks_guard", "callbacks_guard", "UPDATE", "'body', 'body_sha256'"),
    (
        "inbox",
        "inbox_guard",
        "inbox_guard",
        "UPDATE",
        "'source_id', 'body', 'text', 'is_pay', 'intent', 'error', 'trace', 'handled_at'",
    ),
    ("domain_events", "domain_events_append_only", "append_only", "UPDATE OR DELETE", "'data'"),
    ("payment_events", "payment_events_append_only", "append_only", "UPDATE OR DELETE", "'data'"),
    ("usage_records", "usage_records_append_only", "append_only", "UPDATE OR DELETE", "'key', 'day'"),
)
ONLY_ERASES = """
    CREATE FUNCTION only_erases() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP <> 'UPDATE' OR to_jsonb(NEW) - TG_ARGV IS DISTINCT FROM to_jsonb(OLD) - TG_ARGV THEN
        RAISE EXCEPTION 'an erasure takes the person out of %, and changes nothing else', TG_TABLE_NAME;
      END IF;
      RETURN NEW;
    END $$
    """
ERASING = "current_setting('app.erasing', true)"
KNOWN = "phone IS NOT NULL OR bsuid IS NOT NULL OR merged_into IS NOT NULL"
MSISDN = "msisdn ~ '^254[17][0-9]{8}$'"


def upgrade() -> None:
    """Let the guards step aside for an erasure."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("ALTER TABLE customers ADD COLUMN erased_at timestamptz, DROP CONSTRAINT customers_known_by_something")
    op.execute(f"ALTER TABLE customers ADD CONSTRAINT customers_known_by_something CHECK ({KNOWN} OR erased_at IS NOT NULL)")
    op.execute("ALTER TABLE payment_intents DROP CONSTRAINT payment_intents_msisdn_check")
    op.execute(f"ALTER TABLE payment_intents ADD CONSTRAINT payment_intents_msisdn_check CHECK ({MSISDN} OR msisdn = 'erased')")
    op.execute(ONLY_ERASES)
    for table, guard, function, events, columns in GUARDS:
        op.execute(f"DROP TRIGGER {guard} ON {table}")
        op.execute(
            f"CREATE TRIGGER {guard} BEFORE {events} ON {table} FOR EACH ROW"
            f" WHEN ({ERASING} IS DISTINCT FROM 'on') EXECUTE FUNCTION {function}()"
        )
        if columns is not None:
            op.execute(
                f"CREATE TRIGGER {table}_only_erased BEFORE {events} ON {table} FOR EACH ROW"
                f" WHEN ({ERASING} = 'on') EXECUTE FUNCTION only_erases({columns})"
            )


def downgrade() -> None:
    """Let nobody be erased any more. Fails where somebody was."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for table, guard, function, events, columns in GUARDS:
        op.execute(f"DROP TRIGGER {guard} ON {table}")
        op.execute(f"CREATE TRIGGER {guard} BEFORE {events} ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()")
        if columns is not None:
            op.execute(f"DROP TRIGGER {table}_only_erased ON {table}")
    op.execute("DROP FUNCTION only_erases()")
    op.execute("ALTER TABLE payment_intents DROP CONSTRAINT payment_intents_msisdn_check")
    op.execute(f"ALTER TABLE payment_intents ADD CONSTRAINT payment_intents_msisdn_check CHECK ({MSISDN})")
    op.execute("ALTER TABLE customers DROP CONSTRAINT customers_known_by_something")
    op.execute(f"ALTER TABLE customers ADD CONSTRAINT customers_known_by_something CHECK ({KNOWN}), DROP COLUMN erased_at")
