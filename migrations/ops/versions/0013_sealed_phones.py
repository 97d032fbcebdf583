"""Phone numbers are sealed before they come here: columns take the sealed form as well.

Revision: 0013
"""

from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SEALED = "sealed[.][0-9a-f]{8}[.]"
# Table, constraint, what it says now, what it said: a sealed form is some forty characters longer than the number.
CHECKS = (
    (
        "customers",
        "customers_phone_check",
        f"phone ~ '^([0-9]{{7,15}}|{SEALED}[nd][A-Za-z0-9_-]+[.])$'",
        "phone ~ '^[0-9]{7,15}$'",
    ),
    (
        "payment_intents",
        "payment_intents_msisdn_check",
        f"msisdn ~ '^(254[17][0-9]{{8}}|{SEALED}n[A-Za-z0-9_-]+[.]|erased)$'",
        "msisdn ~ '^254[17][0-9]{8}$' OR msisdn = 'erased'",
    ),
    ("callbacks", "callbacks_body_check", "octet_length(body) <= 65536", "octet_length(body) <= 16384"),
    ("money_reports", "money_reports_body_check", "octet_length(body) <= 65536", "octet_length(body) <= 16384"),
    (
        "orders",
        "orders_idempotency_key_check",
        "char_length(idempotency_key) BETWEEN 1 AND 2048",
        "char_length(idempotency_key) BETWEEN 1 AND 255",
    ),
    ("api_answers", "api_answers_key_check", "char_length(key) BETWEEN 1 AND 2048", "char_length(key) BETWEEN 1 AND 255"),
)


def upgrade() -> None:
    """Let the sealed form in."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    _check([(table, name, now) for table, name, now, _ in CHECKS])


def downgrade() -> None:
    """Keep it out. Fails where something is sealed."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    _check([(table, name, before) for table, name, _, before in CHECKS])


def _check(rules: list[tuple[str, str, str]]) -> None:
    for table, name, rule in rules:
        op.execute(f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} CHECK ({rule})")
