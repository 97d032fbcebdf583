"""A callback's success is a claim on the attempt until M-Pesa's own answer to a query confirms it.

Revision: 0004
"""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = (
    """
    ALTER TABLE stk_attempts
      ADD COLUMN claimed_at timestamptz,
      ADD COLUMN claimed_receipt text CHECK (claimed_receipt ~ '^[A-Z0-9]{8,12}$'),
      ADD COLUMN claimed_payer text,
      ADD CONSTRAINT stk_attempts_claim_has_its_receipt CHECK ((claimed_at IS NULL) = (claimed_receipt IS NULL)),
      ADD CONSTRAINT stk_attempts_claim_is_about_a_prompt CHECK (claimed_at IS NULL OR checkout_request_id IS NOT NULL)
    """,
    # What was believed by a callback alone before this revision stays as it is, so this is no CHECK.
    """
    CREATE FUNCTION payments_need_more_than_a_callback() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NEW.confirmed_by = 'callback' THEN
        RAISE EXCEPTION 'a callback alone proves no money: a query must confirm it';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER payments_need_more_than_a_callback BEFORE INSERT OR UPDATE OF confirmed_by ON payments
      FOR EACH ROW EXECUTE FUNCTION payments_need_more_than_a_callback()
    """,
    """
    CREATE FUNCTION stk_attempts_claim_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF OLD.claimed_at IS NOT NULL AND (NEW.claimed_at, NEW.claimed_receipt, NEW.claimed_payer)
         IS DISTINCT FROM (OLD.claimed_at, OLD.claimed_receipt, OLD.claimed_payer) THEN
        RAISE EXCEPTION 'what a callback claimed is written once';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER stk_attempts_claim_guard BEFORE UPDATE ON stk_attempts
      FOR EACH ROW EXECUTE FUNCTION stk_attempts_claim_guard()
    """,
)


def upgrade() -> None:
    """Add the claim, and refuse money that only a callback tells of."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in UP:
        op.execute(statement)


def downgrade() -> None:
    """Take both away again."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TRIGGER stk_attempts_claim_guard ON stk_attempts")
    op.execute("DROP FUNCTION stk_attempts_claim_guard()")
    op.execute("DROP TRIGGER payments_need_more_than_a_callback ON payments")
    op.execute("DROP FUNCTION payments_need_more_than_a_callback()")
    op.execute(
        "ALTER TABLE stk_attempts DROP CONSTRAINT stk_attempts_claim_has_its_receipt,"
        " DROP CONSTRAINT stk_attempts_claim_is_about_a_prompt"
    )
    op.execute("ALTER TABLE stk_attempts DROP COLUMN claimed_at, DROP COLUMN claimed_receipt, DROP COLUMN claimed_payer")
