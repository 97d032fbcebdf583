"""The first ops tables: customers, conversations, inbox, outbox, orders, events, usage, timers, and their guards.

Revision: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

IS_PAY = r"""
    CREATE FUNCTION is_pay(message text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE AS
    $$ SELECT coalesce(upper(btrim(message,
      E' \t\n\r\f\x0b\u00a0!"#$%&\'()*+,-./:;<=>?@[\\]^_`{|}~\u2026\u201c\u201d\u2018\u2019\u2013\u2014'
    ) COLLATE "C") = 'PAY', false) $$
    """

TABLES = (
    """
    CREATE TABLE customers (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      phone text CHECK (phone ~ '^[0-9]{7,15}$'),
      bsuid text CHECK (bsuid <> ''),
      name text,
      language text,
      merged_into uuid,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, phone),
      UNIQUE (vendor_id, bsuid),
      CONSTRAINT customers_known_by_something CHECK (phone IS NOT NULL OR bsuid IS NOT NULL OR merged_into IS NOT NULL)
    )
    """,
    """
    CREATE TABLE conversations (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      customer_id uuid NOT NULL,
      phone_number_id text NOT NULL,
      snapshot jsonb,
      turn integer NOT NULL DEFAULT 0 CHECK (turn >= 0),
      order_id uuid NOT NULL,
      flow text,
      state text,
      last_inbound_at timestamptz,
      last_turn_at timestamptz,
      created_at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, customer_id),
      FOREIGN KEY (vendor_id, customer_id) REFERENCES customers (vendor_id, id)
    )
    """,
    """
    CREATE TABLE inbox (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      kind text NOT NULL CHECK (kind IN ('message', 'status', 'event', 'other')),
      source_id text NOT NULL CHECK (source_id <> ''),
      customer_id uuid,
      conversation_id uuid,
      body jsonb NOT NULL,
      text text,
      is_pay boolean NOT NULL GENERATED ALWAYS AS (is_pay(text)) STORED,
      received_at timestamptz NOT NULL,
      handled_at timestamptz,
      failed_at timestamptz,
      error text,
      trace jsonb,
      turn integer,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, kind, source_id),
      UNIQUE (vendor_id, id, customer_id, is_pay),
      FOREIGN KEY (vendor_id, customer_id) REFERENCES customers (vendor_id, id),
      FOREIGN KEY (vendor_id, conversation_id) REFERENCES conversations (vendor_id, id)
    )
    """,
    "CREATE INDEX inbox_unhandled ON inbox (vendor_id, kind, received_at) WHERE handled_at IS NULL AND failed_at IS NULL",
    "CREATE INDEX inbox_of_conversation ON inbox (vendor_id, conversation_id, id)",
    """
    CREATE TABLE outbox (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      conversation_id uuid NOT NULL,
      phone_number_id text NOT NULL,
      recipient text NOT NULL CHECK (recipient <> ''),
      turn integer NOT NULL,
      n integer NOT NULL,
      place text NOT NULL,
      message jsonb NOT NULL,
      status text NOT NULL DEFAULT 'pending'
        CHECK (status IN ('pending', 'sending', 'sent', 'delivered', 'read', 'failed', 'unknown')),
      due_at timestamptz NOT NULL,
      lease_until timestamptz,
      attempts integer NOT NULL DEFAULT 0,
      resends integer NOT NULL DEFAULT 0 CHECK (resends BETWEEN 0 AND 1),
      wamid text,
      error text,
      created_at timestamptz NOT NULL,
      sent_at timestamptz,
      delivered_at timestamptz,
      read_at timestamptz,
      failed_at timestamptz,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, conversation_id, turn, n),
      UNIQUE (vendor_id, wamid),
      FOREIGN KEY (vendor_id, conversation_id) REFERENCES conversations (vendor_id, id),
      CONSTRAINT outbox_sending_has_a_lease CHECK (status <> 'sending' OR lease_until IS NOT NULL)
    )
    """,
    "CREATE INDEX outbox_due ON outbox (vendor_id, due_at) WHERE status IN ('pending', 'sending', 'unknown')",
    """
    CREATE INDEX outbox_unfinished_of_conversation ON outbox (vendor_id, conversation_id, id)
      WHERE status IN ('pending', 'sending', 'unknown')
    """,
    """
    CREATE TABLE orders (
      vendor_id uuid NOT NULL,
      id uuid NOT NULL,
      number text NOT NULL CHECK (number ~ '^S[0-9]{4,}$'),
      customer_id uuid NOT NULL,
      status text NOT NULL DEFAULT 'DRAFT' CHECK (status IN ('DRAFT', 'CONFIRMED', 'PAID', 'CANCELLED')),
      source text NOT NULL CHECK (source IN ('chat', 'api')),
      total bigint NOT NULL DEFAULT 0 CHECK (total >= 0),
      created_at timestamptz NOT NULL,
      updated_at timestamptz NOT NULL,
      confirmed_at timestamptz,
      paid_at timestamptz,
      cancelled_at timestamptz,
      cancel_reason text,
      receipt text,
      idempotency_key text CHECK (char_length(idempotency_key) BETWEEN 1 AND 255),
      request_sha256 bytea,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, number),
      UNIQUE (vendor_id, idempotency_key),
      UNIQUE (vendor_id, id, customer_id),
      FOREIGN KEY (vendor_id, customer_id) REFERENCES customers (vendor_id, id),
      CONSTRAINT orders_confirmed_at_is_told CHECK (status NOT IN ('CONFIRMED', 'PAID') OR confirmed_at IS NOT NULL),
      CONSTRAINT orders_paid_at_is_told CHECK ((status = 'PAID') = (paid_at IS NOT NULL)),
      CONSTRAINT orders_cancelled_at_is_told CHECK ((status = 'CANCELLED') = (cancelled_at IS NOT NULL)),
      CONSTRAINT orders_receipt_means_paid CHECK (receipt IS NULL OR status = 'PAID'),
      CONSTRAINT orders_key_has_its_request CHECK ((idempotency_key IS NULL) = (request_sha256 IS NULL))
    )
    """,
    """
    CREATE UNIQUE INDEX orders_one_open_chat_order ON orders (vendor_id, customer_id)
      WHERE source = 'chat' AND status IN ('DRAFT', 'CONFIRMED')
    """,
    """
    CREATE TABLE order_lines (
      vendor_id uuid NOT NULL,
      order_id uuid NOT NULL,
      position integer NOT NULL CHECK (position > 0),
      item_id uuid,
      name text NOT NULL CHECK (name <> ''),
      unit text NOT NULL,
      qty integer NOT NULL CHECK (qty BETWEEN 1 AND 999),
      price integer NOT NULL CHECK (price BETWEEN 1 AND 1000000),
      total bigint NOT NULL,
      PRIMARY KEY (vendor_id, order_id, position),
      UNIQUE (vendor_id, order_id, item_id),
      FOREIGN KEY (vendor_id, order_id) REFERENCES orders (vendor_id, id),
      CONSTRAINT order_lines_total_is_qty_times_price CHECK (total = qty::bigint * price)
    )
    """,
    "CREATE TABLE order_numbers (vendor_id uuid PRIMARY KEY, last integer NOT NULL CHECK (last > 0))",
    """
    CREATE TABLE domain_events (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      xid xid8 NOT NULL DEFAULT pg_current_xact_id(),
      type text NOT NULL,
      subject text NOT NULL,
      data jsonb NOT NULL,
      at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, id)
    )
    """,
    "CREATE INDEX domain_events_cursor ON domain_events (vendor_id, xid, id)",
    """
    CREATE TABLE usage_records (
      vendor_id uuid NOT NULL,
      meter text NOT NULL,
      key text NOT NULL,
      quantity integer NOT NULL,
      at timestamptz NOT NULL,
      PRIMARY KEY (vendor_id, meter, key)
    )
    """,
    """
    CREATE TABLE timers (
      vendor_id uuid NOT NULL,
      id bigint GENERATED ALWAYS AS IDENTITY,
      conversation_id uuid NOT NULL,
      turn integer NOT NULL,
      name text NOT NULL,
      due_at timestamptz NOT NULL,
      fired_at timestamptz,
      PRIMARY KEY (vendor_id, id),
      UNIQUE (vendor_id, conversation_id, turn, name),
      FOREIGN KEY (vendor_id, conversation_id) REFERENCES conversations (vendor_id, id)
    )
    """,
    "CREATE INDEX timers_due ON timers (vendor_id, due_at) WHERE fired_at IS NULL",
)

MESSAGE_LOG = """
    CREATE VIEW message_log AS
      SELECT vendor_id, conversation_id, received_at AS at, 'in' AS direction, text,
             CASE WHEN handled_at IS NOT NULL THEN 'handled' WHEN failed_at IS NOT NULL THEN 'failed' ELSE 'received' END
               AS status,
             source_id AS wamid, turn, 0 AS n
        FROM inbox WHERE kind = 'message'
      UNION ALL
      SELECT vendor_id, conversation_id, created_at, 'out', message ->> 'text', status, wamid, turn, n
        FROM outbox
    """

GUARDS = (
    # Source of the allowed moves: router/orders/status.py. A test walks both.
    """
    CREATE FUNCTION orders_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE lines_total bigint;
    BEGIN
      IF TG_OP = 'DELETE' THEN
        RAISE EXCEPTION 'an order is never deleted: cancel it';
      END IF;
      IF TG_OP = 'INSERT' THEN
        IF NEW.status <> 'DRAFT' THEN
          RAISE EXCEPTION 'an order starts as DRAFT, not as %', NEW.status;
        END IF;
        RETURN NEW;
      END IF;
      IF (NEW.vendor_id, NEW.id, NEW.number, NEW.customer_id, NEW.source, NEW.created_at, NEW.idempotency_key, NEW.request_sha256)
         IS DISTINCT FROM
         (OLD.vendor_id, OLD.id, OLD.number, OLD.customer_id, OLD.source, OLD.created_at, OLD.idempotency_key, OLD.request_sha256)
      THEN
        RAISE EXCEPTION 'the number and the customer of an order never change';
      END IF;
      IF OLD.status IN ('PAID', 'CANCELLED') THEN
        RAISE EXCEPTION 'an order that is % never changes', OLD.status;
      END IF;
      IF (OLD.status, NEW.status) NOT IN (
          ('DRAFT', 'DRAFT'), ('DRAFT', 'CONFIRMED'), ('DRAFT', 'CANCELLED'),
          ('CONFIRMED', 'CONFIRMED'), ('CONFIRMED', 'PAID'), ('CONFIRMED', 'CANCELLED')) THEN
        RAISE EXCEPTION 'an order cannot move from % to %', OLD.status, NEW.status;
      END IF;
      IF OLD.status <> 'DRAFT' AND (NEW.total, NEW.confirmed_at) IS DISTINCT FROM (OLD.total, OLD.confirmed_at) THEN
        RAISE EXCEPTION 'the terms of an order are frozen once it is CONFIRMED';
      END IF;
      IF OLD.status = 'DRAFT' AND NEW.status = 'CONFIRMED' THEN
        SELECT coalesce(sum(total), 0) INTO lines_total FROM order_lines WHERE vendor_id = NEW.vendor_id AND order_id = NEW.id;
        IF lines_total = 0 OR NEW.total <> lines_total THEN
          RAISE EXCEPTION 'an order is confirmed for the sum of its lines, %, not for %', lines_total, NEW.total;
        END IF;
      END IF;
      RETURN NEW;
    END $$
    """,
    "CREATE TRIGGER orders_guard BEFORE INSERT OR UPDATE OR DELETE ON orders FOR EACH ROW EXECUTE FUNCTION orders_guard()",
    """
    CREATE FUNCTION order_lines_guard() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      line order_lines;
      found_status text;
    BEGIN
      IF TG_OP = 'UPDATE' AND (NEW.vendor_id, NEW.order_id) IS DISTINCT FROM (OLD.vendor_id, OLD.order_id) THEN
        RAISE EXCEPTION 'a line never moves to another order';
      END IF;
      IF TG_OP = 'DELETE' THEN line := OLD; ELSE line := NEW; END IF;
      -- The lock makes a change of lines and a confirm of the same order wait for each other.
      SELECT status INTO found_status FROM orders
        WHERE vendor_id = line.vendor_id AND id = line.order_id FOR NO KEY UPDATE;
      IF found_status <> 'DRAFT' THEN
        RAISE EXCEPTION 'the lines of an order that is % never change', found_status;
      END IF;
      RETURN line;
    END $$
    """,
    """
    CREATE TRIGGER order_lines_guard BEFORE INSERT OR UPDATE OR DELETE ON order_lines
      FOR EACH ROW EXECUTE FUNCTION order_lines_guard()
    """,
    """
    CREATE FUNCTION append_only() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION '% is append-only', TG_TABLE_NAME;
    END $$
    """,
    """
    CREATE TRIGGER domain_events_append_only BEFORE UPDATE OR DELETE ON domain_events
      FOR EACH ROW EXECUTE FUNCTION append_only()
    """,
)


def upgrade() -> None:
    """Create functions, tables, the view and the guards."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in (IS_PAY, *TABLES, MESSAGE_LOG, *GUARDS):
        op.execute(statement)


def downgrade() -> None:
    """Drop them in the opposite order."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute("DROP VIEW message_log")
    op.execute(
        "DROP TABLE timers, usage_records, domain_events, order_numbers, order_lines, orders, outbox, inbox, "
        "conversations, customers"
    )
    for function in ("append_only()", "order_lines_guard()", "orders_guard()", "is_pay(text)"):
        op.execute(f"DROP FUNCTION {function}")
