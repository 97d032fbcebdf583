"""What somebody typed as the account of a payment by hand can be erased, and sealed: it may be their phone.

Revision: 0018
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

ERASING = "current_setting('app.erasing', true)"
GUARD = """
    CREATE TRIGGER money_reports_guard BEFORE UPDATE OR DELETE ON money_reports
      FOR EACH ROW {}EXECUTE FUNCTION money_reports_guard()
    """


def upgrade() -> None:
    """Let the guard step aside for an erasure, which changes nothing but the body."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER money_reports_guard ON money_reports")
    op.execute(GUARD.format(f"WHEN ({ERASING} IS DISTINCT FROM 'on') "))
    op.execute(
        "CREATE TRIGGER money_reports_only_erased BEFORE UPDATE OR DELETE ON money_reports FOR EACH ROW"
        f" WHEN ({ERASING} = 'on') EXECUTE FUNCTION only_erases('body', 'body_sha256')"
    )


def downgrade() -> None:
    """Let no report be erased any more."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER money_reports_only_erased ON money_reports")
    op.execute("DROP TRIGGER money_reports_guard ON money_reports")
    op.execute(GUARD.format(""))
