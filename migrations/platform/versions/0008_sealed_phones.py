"""Phone numbers are sealed before they come here: the daily slots take the sealed form as well.

Revision: 0008
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

NAME = "daily_intent_slots_customer_phone_check"
PLAIN = "254[0-9]{9}"
SEALED = "sealed[.][0-9a-f]{8}[.]n[A-Za-z0-9_-]+[.]"


def upgrade() -> None:
    """Let the sealed form in."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    _check(f"customer_phone ~ '^({PLAIN}|{SEALED})$'")


def downgrade() -> None:
    """Keep it out. Fails where something is sealed."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    _check(f"customer_phone ~ '^{PLAIN}$'")


def _check(rule: str) -> None:
    op.execute(f"ALTER TABLE daily_intent_slots DROP CONSTRAINT {NAME}, ADD CONSTRAINT {NAME} CHECK ({rule})")
