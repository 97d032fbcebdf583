"""Row-level security on what is read for one vendor only. Not forced: an operator writes here, as the tables' owner.

Revision: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

WALLED = ("vendor_capabilities", "catalog_items", "vendor_shortcodes")


def upgrade() -> None:
    """Build the wall."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(
        """
        CREATE FUNCTION build_vendor_wall(target regclass) RETURNS void LANGUAGE plpgsql AS $$
        BEGIN
          EXECUTE format('ALTER TABLE %s ENABLE ROW LEVEL SECURITY', target);
          EXECUTE format('CREATE POLICY vendor_wall ON %s USING '
                         '(vendor_id = nullif(current_setting(''app.vendor_id'', true), '''')::uuid)', target);
        END $$
        """
    )
    op.execute("REVOKE EXECUTE ON FUNCTION build_vendor_wall(regclass) FROM PUBLIC")
    op.execute(
        """
        CREATE TABLE vendor_moves (
          vendor_id uuid PRIMARY KEY REFERENCES vendors,
          to_target jsonb CHECK (jsonb_typeof(to_target) = 'object'),
          started_at timestamptz NOT NULL DEFAULT now()
        )
        """
    )
    for table in (*WALLED, "vendor_moves"):
        op.execute(f"SELECT build_vendor_wall('{table}')")


def downgrade() -> None:
    """Take it down."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP FUNCTION build_vendor_wall(regclass)")
    op.execute("DROP TABLE vendor_moves")
    for table in WALLED:
        op.execute(f"DROP POLICY vendor_wall ON {table}")
        op.execute(f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
