"""No PAID order without money, no consent written in afterwards, nothing emptied at a stroke.

Revision ID: 0003
Revises: 0002
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

GUARDS = (
    # Deferred: the payment and the order's move are written by one transaction, in either order.
    """
    CREATE FUNCTION paid_orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (SELECT FROM payments WHERE vendor_id = NEW.vendor_id AND order_id = NEW.id) THEN
        RAISE EXCEPTION 'order % is PAID without a payment', NEW.number;
      END IF;
      RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER paid_orders_guard AFTER UPDATE OF status ON orders DEFERRABLE INITIALLY DEFERRED
      FOR EACH ROW WHEN (NEW.status = 'PAID') EXECUTE FUNCTION paid_orders_guard()
    """,
    # What came in is evidence: a PAY is what the customer wrote, when and from whom it came.
    """
    CREATE FUNCTION inbox_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF (NEW.vendor_id, NEW.kind, NEW.source_id, NEW.customer_id, NEW.conversation_id, NEW.body, NEW.text, NEW.received_at)
         IS DISTINCT FROM
         (OLD.vendor_id, OLD.kind, OLD.source_id, OLD.customer_id, OLD.conversation_id, OLD.body, OLD.text, OLD.received_at)
      THEN
        RAISE EXCEPTION 'what came in never changes';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER inbox_guard BEFORE UPDATE ON inbox FOR EACH ROW EXECUTE FUNCTION inbox_guard()",
    # TRUNCATE fires no row trigger.
    "CREATE TRIGGER domain_events_kept BEFORE TRUNCATE ON domain_events FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    "CREATE TRIGGER orders_kept BEFORE TRUNCATE ON orders FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    "CREATE TRIGGER order_lines_kept BEFORE TRUNCATE ON order_lines FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    "CREATE TRIGGER callbacks_kept BEFORE TRUNCATE ON callbacks FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
)
DROPS = (
    "DROP TRIGGER paid_orders_guard ON orders",
    "DROP FUNCTION paid_orders_guard()",
    "DROP TRIGGER inbox_guard ON inbox",
    "DROP FUNCTION inbox_guard()",
    "DROP TRIGGER domain_events_kept ON domain_events",
    "DROP TRIGGER orders_kept ON orders",
    "DROP TRIGGER order_lines_kept ON order_lines",
    "DROP TRIGGER callbacks_kept ON callbacks",
)


def upgrade() -> None:
    """Add the guards."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in GUARDS:
        op.execute(statement)


def downgrade() -> None:
    """Take them away."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in DROPS:
        op.execute(statement)
