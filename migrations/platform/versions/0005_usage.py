"""What vendors used by day, whether it was right, what it costs, and the statements of closed months.

Revision: 0005
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = (
    """
    CREATE TABLE usage_days (
      vendor_id uuid NOT NULL REFERENCES vendors,
      day date NOT NULL,
      meter text NOT NULL,
      category text NOT NULL,
      quantity bigint NOT NULL,
      PRIMARY KEY (vendor_id, day, meter, category)
    )
    """,
    """
    CREATE TABLE usage_checks (
      vendor_id uuid NOT NULL REFERENCES vendors,
      day date NOT NULL,
      differences jsonb NOT NULL,
      checked_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, day)
    )
    """,
    """
    CREATE TABLE usage_prices (
      meter text NOT NULL,
      category text NOT NULL DEFAULT '',
      valid_from date NOT NULL CHECK (valid_from = date_trunc('month', valid_from)::date),
      per integer NOT NULL CHECK (per > 0),
      cents integer NOT NULL CHECK (cents >= 0),
      PRIMARY KEY (meter, category, valid_from)
    )
    """,
    """
    CREATE TABLE usage_statements (
      vendor_id uuid NOT NULL REFERENCES vendors,
      month date NOT NULL CHECK (month = date_trunc('month', month)::date),
      total_cents bigint NOT NULL,
      closed_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, month)
    )
    """,
    """
    CREATE TABLE usage_statement_lines (
      vendor_id uuid NOT NULL,
      month date NOT NULL,
      used_in date NOT NULL,
      meter text NOT NULL,
      category text NOT NULL,
      quantity bigint NOT NULL,
      per integer NOT NULL,
      cents integer NOT NULL,
      amount_cents bigint NOT NULL,
      PRIMARY KEY (vendor_id, month, used_in, meter, category),
      FOREIGN KEY (vendor_id, month) REFERENCES usage_statements (vendor_id, month),
      CONSTRAINT usage_statement_lines_not_from_the_future CHECK (used_in <= month)
    )
    """,
    """
    CREATE FUNCTION usage_statements_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'a closed month never changes: late usage enters the next one';
    END $$
    """,
    """
    CREATE TRIGGER usage_statements_are_final BEFORE UPDATE OR DELETE ON usage_statements
      FOR EACH ROW EXECUTE FUNCTION usage_statements_are_final()
    """,
    """
    CREATE TRIGGER usage_statements_are_final BEFORE UPDATE OR DELETE ON usage_statement_lines
      FOR EACH ROW EXECUTE FUNCTION usage_statements_are_final()
    """,
)
WALLED = ("usage_days", "usage_checks", "usage_statements", "usage_statement_lines")


def upgrade() -> None:
    """Make the tables."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)
    for table in WALLED:
        op.execute(f"SELECT build_vendor_wall('{table}')")


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE usage_statement_lines, usage_statements, usage_prices, usage_checks, usage_days")
    op.execute("DROP FUNCTION usage_statements_are_final()")
