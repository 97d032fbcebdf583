"""Categories, and a number for each count of an item's stock, so that the ops databases know a new count from an old one.

Revision: 0003
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE catalog_items
      ADD COLUMN category text NOT NULL DEFAULT '' CHECK (char_length(category) <= 24),
      ADD COLUMN count_no integer NOT NULL DEFAULT 1
    """,
    # Whoever names the column has counted, also when the number is the same as before.
    """
    CREATE FUNCTION catalog_items_counted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      NEW.count_no := OLD.count_no + 1;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER catalog_items_counted BEFORE UPDATE OF stock ON catalog_items
      FOR EACH ROW EXECUTE FUNCTION catalog_items_counted()
    """,
)


def upgrade() -> None:
    """Add the columns and the counter."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Drop them."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER catalog_items_counted ON catalog_items")
    op.execute("DROP FUNCTION catalog_items_counted()")
    op.execute("ALTER TABLE catalog_items DROP COLUMN category, DROP COLUMN count_no")
