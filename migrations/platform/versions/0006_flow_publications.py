"""Published flows: the files of each bundle, and which one is live since when.

Revision: 0006
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE flow_bundles (
      hash text PRIMARY KEY CHECK (hash ~ '^[0-9a-f]{12}$'),
      files jsonb NOT NULL CHECK (jsonb_typeof(files) = 'object'),
      created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    """
    CREATE TABLE flow_publications (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      bundle_hash text NOT NULL REFERENCES flow_bundles,
      migrations jsonb NOT NULL CHECK (jsonb_typeof(migrations) = 'object'),
      published_by text NOT NULL CHECK (published_by <> ''),
      published_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Make the two tables."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop them again."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE flow_publications")
    op.execute("DROP TABLE flow_bundles")
