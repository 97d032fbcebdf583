"""What a capability's grant may be bound to, and who asked in vain.

Revision: 0007
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE vendor_capabilities
      ADD COLUMN valid_from timestamptz,
      ADD COLUMN valid_until timestamptz,
      ADD COLUMN most_a_day integer CHECK (most_a_day > 0),
      ADD CONSTRAINT vendor_capabilities_begins_before_it_ends CHECK (valid_from < valid_until)
    """,
    """
    CREATE TABLE capability_denials (
      vendor_id uuid NOT NULL REFERENCES vendors,
      capability_key text NOT NULL,
      day date NOT NULL,
      times integer NOT NULL DEFAULT 1,
      last_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (vendor_id, capability_key, day)
    )
    """,
    "SELECT build_vendor_wall('capability_denials')",
)


def upgrade() -> None:
    """Add the columns and the table."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE capability_denials")
    op.execute("ALTER TABLE vendor_capabilities DROP CONSTRAINT vendor_capabilities_begins_before_it_ends")
    op.execute("ALTER TABLE vendor_capabilities DROP COLUMN valid_from, DROP COLUMN valid_until, DROP COLUMN most_a_day")
