"""Every turn as it went, for some days, and the words of the shop it was taken with.

Revision: 0010
"""

from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

UP = (
    # No foreign key: the statement that writes a turn holds its conversation's row, and each key would be one more look-up.
    """
    CREATE TABLE turns (
      vendor_id uuid NOT NULL,
      conversation_id uuid NOT NULL,
      turn integer NOT NULL,
      at timestamptz NOT NULL,
      bundle text NOT NULL,
      shelf text NOT NULL,
      record jsonb NOT NULL,
      PRIMARY KEY (vendor_id, conversation_id, turn)
    )
    """,
    "SELECT build_vendor_wall('turns')",
    # Rows come in order of time and leave in it: a BRIN index finds both ends and costs a turn nothing.
    "CREATE INDEX turns_by_time ON turns USING brin (at)",
    """
    CREATE TABLE shelves (
      vendor_id uuid NOT NULL,
      digest text NOT NULL,
      items jsonb NOT NULL,
      seen_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, digest)
    )
    """,
    "SELECT build_vendor_wall('shelves')",
)


def upgrade() -> None:
    """Add both tables."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE turns, shelves")
