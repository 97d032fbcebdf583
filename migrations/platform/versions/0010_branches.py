"""Branches of vendors, and their opening hours.

Revision: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the table."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("""
        CREATE TABLE vendor_branches (
          vendor_id uuid NOT NULL REFERENCES vendors,
          id text NOT NULL CHECK (id ~ '^[a-z][a-z0-9_]{0,29}$'),
          position integer NOT NULL,
          name text NOT NULL CHECK (char_length(name) BETWEEN 1 AND 24),
          about text NOT NULL CHECK (char_length(about) <= 72),
          hours jsonb NOT NULL CHECK (jsonb_typeof(hours) = 'array'),
          PRIMARY KEY (vendor_id, id)
        )
        """)
    op.execute("SELECT build_vendor_wall('vendor_branches')")


def downgrade() -> None:
    """Drop it."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE vendor_branches")
