"""Payments: shortcode copies, intents, the one attempt of each, money received, callbacks, the audit trail, and their guards.

Revision: 0002
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE vendor_shortcodes (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      kind text NOT NULL CHECK (kind IN ('paybill', 'till')),
      business_shortcode text NOT NULL CHECK (business_shortcode ~ '^[0-9]{5,7}$'),
      party_b text NOT NULL CHECK (party_b ~ '^[0-9]{5,7}$'),
      environment text NOT NULL CHECK (environment IN ('sandbox', 'production')),
      secret_ref text NOT NULL,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, id),
      CONSTRAINT vendor_shortcodes_paybill_is_one_number CHECK (kind <> 'paybill' OR party_b = business_shortcode),
      CONSTRAINT vendor_shortcodes_plain_is_for_sandbox
        CHECK (secret_ref ~ '^(env|file|vault):' OR (secret_ref ~ '^plain:' AND environment = 'sandbox'))
    )
    """,
    """
    CREATE TABLE payment_intents (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      order_id uuid NOT NULL,
      customer_id uuid NOT NULL,
      shortcode_id uuid NOT NULL,
      amount integer NOT NULL CHECK (amount BETWEEN 1 AND 250000),
      msisdn text NOT NULL CHECK (msisdn ~ '^254[17][0-9]{8}$'),
      account_ref text NOT NULL CHECK (account_ref ~ '^[A-Z0-9]{1,12}$'),
      pay_message_id bigint NOT NULL,
      pay_is_pay boolean NOT NULL DEFAULT true CHECK (pay_is_pay),
      day date NOT NULL,
      day_slot smallint NOT NULL CHECK (day_slot BETWEEN 1 AND 3),
      status text NOT NULL DEFAULT 'consented'
        CHECK (status IN ('consented', 'processing', 'paid', 'failed', 'expired', 'cancelled', 'needs_review')),
      reason text,
      late boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL,
      paid_at timestamptz,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, pay_message_id),
      UNIQUE (vendor_id, account_ref),
      UNIQUE (vendor_id, customer_id, day, day_slot),
      CONSTRAINT payment_intents_terms UNIQUE (vendor_id, id, shortcode_id, amount, msisdn, pay_message_id),
      CONSTRAINT payment_intents_money UNIQUE (vendor_id, id, shortcode_id, amount),
      FOREIGN KEY (vendor_id, order_id, customer_id) REFERENCES orders (vendor_id, id, customer_id),
      FOREIGN KEY (vendor_id, shortcode_id) REFERENCES vendor_shortcodes (vendor_id, id),
      FOREIGN KEY (vendor_id, pay_message_id, customer_id, pay_is_pay) REFERENCES inbox (vendor_id, id, customer_id, is_pay),
      CONSTRAINT payment_intents_day_is_of_nairobi CHECK (day = (created_at AT TIME ZONE 'Africa/Nairobi')::date),
      CONSTRAINT payment_intents_paid_at_is_told CHECK ((status = 'paid') = (paid_at IS NOT NULL)),
      CONSTRAINT payment_intents_end_has_a_reason
        CHECK (status IN ('consented', 'processing', 'paid') OR reason IS NOT NULL)
    )
    """,
    """
    CREATE UNIQUE INDEX payment_intents_one_live ON payment_intents (vendor_id, order_id)
      WHERE status IN ('consented', 'processing')
    """,
    "CREATE INDEX payment_intents_of_order ON payment_intents (vendor_id, order_id)",
    """
    CREATE TABLE stk_attempts (
      vendor_id uuid NOT NULL,
      intent_id uuid NOT NULL,
      shortcode_id uuid NOT NULL,
      amount integer NOT NULL,
      msisdn text NOT NULL,
      pay_message_id bigint NOT NULL,
      status text NOT NULL DEFAULT 'prepared' CHECK (status IN
        ('prepared', 'dispatched', 'accepted', 'rejected', 'ambiguous', 'succeeded', 'failed', 'unresolved')),
      due_at timestamptz NOT NULL,
      created_at timestamptz NOT NULL,
      dispatched_at timestamptz,
      callback_token_sha256 bytea CHECK (octet_length(callback_token_sha256) = 32),
      merchant_request_id text CHECK (merchant_request_id <> ''),
      checkout_request_id text CHECK (checkout_request_id <> ''),
      error text,
      result_code text,
      result_desc text,
      result_source text CHECK (result_source IN ('callback', 'query', 'c2b', 'pull', 'operator')),
      next_query_at timestamptz,
      last_query_at timestamptz,
      queries smallint NOT NULL DEFAULT 0,
      PRIMARY KEY (vendor_id, intent_id),
      UNIQUE (vendor_id, callback_token_sha256),
      UNIQUE (vendor_id, merchant_request_id),
      UNIQUE (vendor_id, checkout_request_id),
      FOREIGN KEY (vendor_id, intent_id, shortcode_id, amount, msisdn, pay_message_id)
        REFERENCES payment_intents (vendor_id, id, shortcode_id, amount, msisdn, pay_message_id),
      CONSTRAINT stk_attempts_sent_is_stamped
        CHECK (status IN ('prepared', 'rejected') OR dispatched_at IS NOT NULL),
      CONSTRAINT stk_attempts_token_comes_with_dispatch CHECK ((dispatched_at IS NULL) = (callback_token_sha256 IS NULL)),
      CONSTRAINT stk_attempts_accepted_has_its_id CHECK (status <> 'accepted' OR checkout_request_id IS NOT NULL)
    )
    """,
    "CREATE INDEX stk_attempts_to_push ON stk_attempts (vendor_id, due_at) WHERE status = 'prepared'",
    "CREATE INDEX stk_attempts_to_query ON stk_attempts (vendor_id, next_query_at) WHERE next_query_at IS NOT NULL",
    "CREATE INDEX stk_attempts_of_phone ON stk_attempts (msisdn, dispatched_at)",
    """
    CREATE TABLE payments (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      intent_id uuid,
      order_id uuid,
      shortcode_id uuid NOT NULL,
      amount integer NOT NULL CHECK (amount > 0),
      receipt text UNIQUE CHECK (receipt ~ '^[A-Z0-9]{8,12}$'),
      payer text,
      confirmed_by text NOT NULL
        CHECK (confirmed_by IN ('callback', 'query', 'callback+query', 'c2b', 'pull', 'operator')),
      paid_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, intent_id),
      FOREIGN KEY (vendor_id, intent_id, shortcode_id, amount)
        REFERENCES payment_intents (vendor_id, id, shortcode_id, amount),
      FOREIGN KEY (vendor_id, shortcode_id) REFERENCES vendor_shortcodes (vendor_id, id),
      FOREIGN KEY (vendor_id, order_id) REFERENCES orders (vendor_id, id),
      CONSTRAINT payments_receipt_unless_by_query
        CHECK (receipt IS NOT NULL OR (confirmed_by = 'query' AND intent_id IS NOT NULL))
    )
    """,
    "CREATE INDEX payments_of_order ON payments (vendor_id, order_id)",
    """
    CREATE TABLE callbacks (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      intent_id uuid NOT NULL,
      body text NOT NULL CHECK (octet_length(body) <= 16384),
      body_sha256 bytea NOT NULL,
      peer text,
      seen_count integer NOT NULL DEFAULT 1 CHECK (seen_count > 0),
      received_at timestamptz NOT NULL DEFAULT now(),
      try_again_at timestamptz,
      handled_at timestamptz,
      verdict text,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, intent_id, body_sha256),
      FOREIGN KEY (vendor_id, intent_id) REFERENCES payment_intents (vendor_id, id),
      CONSTRAINT callbacks_body_and_hash_agree CHECK (body_sha256 = sha256(convert_to(body, 'UTF8'))),
      CONSTRAINT callbacks_handled_has_a_verdict CHECK (handled_at IS NULL OR verdict IS NOT NULL)
    )
    """,
    "CREATE INDEX callbacks_unhandled ON callbacks (vendor_id, id) WHERE handled_at IS NULL",
    """
    CREATE TABLE payment_events (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      intent_id uuid NOT NULL,
      at timestamptz NOT NULL,
      event text NOT NULL CHECK (event <> ''),
      from_status text,
      to_status text,
      data jsonb NOT NULL DEFAULT '{}',
      PRIMARY KEY (vendor_id, id),
      FOREIGN KEY (vendor_id, intent_id) REFERENCES payment_intents (vendor_id, id)
    )
    """,
    "CREATE INDEX payment_events_of_intent ON payment_events (vendor_id, intent_id, id)",
)

GUARDS = (
    """
    CREATE FUNCTION vendor_shortcodes_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a shortcode that took money is never deleted';
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.kind, NEW.business_shortcode, NEW.party_b, NEW.environment, NEW.created_at) IS DISTINCT FROM
         (OLD.vendor_id, OLD.id, OLD.kind, OLD.business_shortcode, OLD.party_b, OLD.environment, OLD.created_at) THEN
        RAISE EXCEPTION 'where the money goes never changes: a new shortcode is a new row';
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER vendor_shortcodes_guard BEFORE UPDATE OR DELETE ON vendor_shortcodes
      FOR EACH ROW EXECUTE FUNCTION vendor_shortcodes_guard()
    """,
    # Source of the allowed moves, here and below: router/payment_intents/status.py. A test walks both.
    """
    CREATE FUNCTION payment_intents_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      the_order orders;
      pay_received_at timestamptz;
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'a payment intent is never deleted';
      END IF;
      IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'consented' OR NEW.late THEN
          RAISE EXCEPTION 'a payment intent starts as consented, not as %', NEW.status;
        END IF;
        -- The lock makes two intents for one order, and an intent and a cancel, wait for each other.
        SELECT * INTO the_order FROM orders WHERE vendor_id = NEW.vendor_id AND id = NEW.order_id FOR NO KEY UPDATE;
        IF the_order.status IS DISTINCT FROM 'CONFIRMED' THEN
          RAISE EXCEPTION 'only a CONFIRMED order is paid for, this one is %', the_order.status;
        END IF;
        IF the_order.total <> NEW.amount THEN
          RAISE EXCEPTION 'the order is for %, not for %', the_order.total, NEW.amount;
        END IF;
        SELECT received_at INTO pay_received_at FROM inbox
          WHERE vendor_id = NEW.vendor_id AND id = NEW.pay_message_id AND kind = 'message';
        IF pay_received_at IS NULL OR pay_received_at < the_order.confirmed_at THEN
          RAISE EXCEPTION 'the PAY is older than the order that it would pay';
        END IF;
        IF EXISTS (SELECT 1 FROM payment_intents
                   WHERE vendor_id = NEW.vendor_id AND order_id = NEW.order_id AND status IN ('paid', 'needs_review')) THEN
          RAISE EXCEPTION 'the order is already paid, or its payment is under review';
        END IF;
        RETURN NEW;
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.order_id, NEW.customer_id, NEW.shortcode_id, NEW.amount, NEW.msisdn, NEW.account_ref,
          NEW.pay_message_id, NEW.pay_is_pay, NEW.day, NEW.day_slot, NEW.created_at)
         IS DISTINCT FROM
         (OLD.vendor_id, OLD.id, OLD.order_id, OLD.customer_id, OLD.shortcode_id, OLD.amount, OLD.msisdn, OLD.account_ref,
          OLD.pay_message_id, OLD.pay_is_pay, OLD.day, OLD.day_slot, OLD.created_at) THEN
        RAISE EXCEPTION 'the terms of a payment intent are frozen';
      END IF;
      IF OLD.status = 'paid' AND (NEW.paid_at, NEW.late) IS DISTINCT FROM (OLD.paid_at, OLD.late) THEN
        RAISE EXCEPTION 'a paid intent never changes';
      END IF;
      IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
          ('consented', 'processing'), ('consented', 'failed'), ('consented', 'expired'), ('consented', 'cancelled'),
          ('consented', 'paid'),
          ('processing', 'paid'), ('processing', 'failed'), ('processing', 'needs_review'),
          ('needs_review', 'paid'), ('needs_review', 'failed'),
          ('failed', 'paid'), ('failed', 'needs_review'),
          ('expired', 'paid'), ('cancelled', 'paid')) THEN
        RAISE EXCEPTION 'a payment intent cannot move from % to %', OLD.status, NEW.status;
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER payment_intents_guard BEFORE INSERT OR UPDATE OR DELETE ON payment_intents
      FOR EACH ROW EXECUTE FUNCTION payment_intents_guard()
    """,
    """
    CREATE FUNCTION payment_intents_paid_means_money() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF NOT EXISTS (SELECT 1 FROM payments WHERE vendor_id = NEW.vendor_id AND intent_id = NEW.id) THEN
        RAISE EXCEPTION 'an intent is paid only together with its row in payments';
      END IF;
      RETURN NULL;
    END $$
    """,
    """
    CREATE CONSTRAINT TRIGGER payment_intents_paid_means_money AFTER UPDATE OF status ON payment_intents
      DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.status = 'paid')
      EXECUTE FUNCTION payment_intents_paid_means_money()
    """,
    """
    CREATE FUNCTION stk_attempts_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an attempt is never deleted';
      END IF;
      IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'prepared' OR NEW.dispatched_at IS NOT NULL THEN
          RAISE EXCEPTION 'an attempt starts as prepared, not as %', NEW.status;
        END IF;
        RETURN NEW;
      END IF;
      IF (NEW.vendor_id, NEW.intent_id, NEW.shortcode_id, NEW.amount, NEW.msisdn, NEW.pay_message_id, NEW.created_at)
         IS DISTINCT FROM
         (OLD.vendor_id, OLD.intent_id, OLD.shortcode_id, OLD.amount, OLD.msisdn, OLD.pay_message_id, OLD.created_at) THEN
        RAISE EXCEPTION 'the terms of an attempt are frozen';
      END IF;
      IF (OLD.dispatched_at IS NOT NULL AND NEW.dispatched_at IS DISTINCT FROM OLD.dispatched_at)
         OR (OLD.callback_token_sha256 IS NOT NULL AND NEW.callback_token_sha256 IS DISTINCT FROM OLD.callback_token_sha256)
         OR (OLD.checkout_request_id IS NOT NULL AND NEW.checkout_request_id IS DISTINCT FROM OLD.checkout_request_id)
         OR (OLD.merchant_request_id IS NOT NULL AND NEW.merchant_request_id IS DISTINCT FROM OLD.merchant_request_id) THEN
        RAISE EXCEPTION 'the dispatch, the token and the ids of an attempt are written once';
      END IF;
      IF NEW.dispatched_at IS NOT NULL AND OLD.dispatched_at IS NULL AND NEW.status <> 'dispatched' THEN
        RAISE EXCEPTION 'an attempt is stamped when it is dispatched, not later';
      END IF;
      IF NEW.status <> OLD.status AND (OLD.status, NEW.status) NOT IN (
          ('prepared', 'dispatched'), ('prepared', 'rejected'),
          ('dispatched', 'accepted'), ('dispatched', 'rejected'), ('dispatched', 'ambiguous'),
          ('dispatched', 'succeeded'), ('dispatched', 'failed'),
          ('accepted', 'succeeded'), ('accepted', 'failed'), ('accepted', 'unresolved'),
          ('ambiguous', 'accepted'), ('ambiguous', 'succeeded'), ('ambiguous', 'failed'), ('ambiguous', 'unresolved'),
          ('unresolved', 'succeeded'), ('unresolved', 'failed'),
          ('failed', 'succeeded'), ('rejected', 'succeeded')) THEN
        RAISE EXCEPTION 'an attempt cannot move from % to %', OLD.status, NEW.status;
      END IF;
      RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER stk_attempts_guard BEFORE INSERT OR UPDATE OR DELETE ON stk_attempts
      FOR EACH ROW EXECUTE FUNCTION stk_attempts_guard()
    """,
    """
    CREATE FUNCTION payments_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'money received is never deleted';
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.shortcode_id, NEW.amount, NEW.paid_at)
         IS DISTINCT FROM (OLD.vendor_id, OLD.id, OLD.shortcode_id, OLD.amount, OLD.paid_at)
         OR (OLD.receipt IS NOT NULL AND NEW.receipt IS DISTINCT FROM OLD.receipt)
         OR (OLD.intent_id IS NOT NULL AND (NEW.intent_id, NEW.order_id) IS DISTINCT FROM (OLD.intent_id, OLD.order_id)) THEN
        RAISE EXCEPTION 'the receipt and the amount of money received never change';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER payments_guard BEFORE UPDATE OR DELETE ON payments FOR EACH ROW EXECUTE FUNCTION payments_guard()",
    """
    CREATE FUNCTION callbacks_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF (NEW.vendor_id, NEW.id, NEW.intent_id, NEW.body, NEW.body_sha256, NEW.received_at) IS DISTINCT FROM
         (OLD.vendor_id, OLD.id, OLD.intent_id, OLD.body, OLD.body_sha256, OLD.received_at)
         OR NEW.seen_count < OLD.seen_count
         OR (OLD.handled_at IS NOT NULL AND (NEW.handled_at, NEW.verdict) IS DISTINCT FROM (OLD.handled_at, OLD.verdict)) THEN
        RAISE EXCEPTION 'a callback is kept as it came, and judged once';
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER callbacks_guard BEFORE UPDATE ON callbacks FOR EACH ROW EXECUTE FUNCTION callbacks_guard()",
    """
    CREATE TRIGGER payment_events_append_only BEFORE UPDATE OR DELETE ON payment_events
      FOR EACH ROW EXECUTE FUNCTION append_only()
    """,
    # TRUNCATE fires no row trigger.
    """
    CREATE TRIGGER payment_events_kept BEFORE TRUNCATE ON payment_events FOR EACH STATEMENT EXECUTE FUNCTION append_only()
    """,
    "CREATE TRIGGER payments_kept BEFORE TRUNCATE ON payments FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    "CREATE TRIGGER stk_attempts_kept BEFORE TRUNCATE ON stk_attempts FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
    "CREATE TRIGGER payment_intents_kept BEFORE TRUNCATE ON payment_intents FOR EACH STATEMENT EXECUTE FUNCTION append_only()",
)


def upgrade() -> None:
    """Create the tables and the guards."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in (*TABLES, *GUARDS):
        op.execute(statement)


def downgrade() -> None:
    """Drop them in the opposite order."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP TABLE payment_events, callbacks, payments, stk_attempts, payment_intents, vendor_shortcodes")
    for function in (
        "callbacks_guard",
        "payments_guard",
        "stk_attempts_guard",
        "payment_intents_paid_means_money",
        "payment_intents_guard",
        "vendor_shortcodes_guard",
    ):
        op.execute(f"DROP FUNCTION {function}()")
