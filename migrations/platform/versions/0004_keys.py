"""What a key may do, and room for two live keys of one name, so that the second can take over from the first.

Revision: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE internal_keys
      ADD COLUMN operations text[] CHECK (operations <> '{}'),
      ADD COLUMN slot smallint NOT NULL DEFAULT 1 CHECK (slot IN (1, 2))
    """,
    # Keys from before this revision may share a name: the newest two of each stay where they are looked up by it.
    """
    UPDATE internal_keys k SET name = CASE WHEN n.number <= 2 THEN k.name ELSE k.name || ' ' || k.id END,
      slot = CASE WHEN n.number = 2 THEN 2 ELSE 1 END
    FROM (SELECT id, row_number() OVER (PARTITION BY name ORDER BY created_at DESC, id) AS number
          FROM internal_keys WHERE revoked_at IS NULL) n
    WHERE n.id = k.id
    """,
    "CREATE UNIQUE INDEX internal_keys_two_live ON internal_keys (name, slot) WHERE revoked_at IS NULL",
)


def upgrade() -> None:
    """Add the columns and the guard."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP INDEX internal_keys_two_live")
    op.execute("ALTER TABLE internal_keys DROP COLUMN operations, DROP COLUMN slot")
