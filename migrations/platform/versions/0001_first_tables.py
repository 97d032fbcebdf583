"""The platform's first tables: vendors, capabilities, catalogue, channels, shortcodes, keys, daily slots.

Revision: 0001
"""

from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    """
    CREATE TABLE vendors (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      name text NOT NULL CHECK (name <> ''),
      isolation_level text NOT NULL DEFAULT 'shared' CHECK (isolation_level IN ('shared', 'dedicated_db')),
      db_target jsonb,
      language text NOT NULL DEFAULT 'en' CHECK (language ~ '^[a-z]{2,3}$'),
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT vendors_dedicated_has_target CHECK (isolation_level = 'shared' OR jsonb_typeof(db_target) = 'object')
    )
    """,
    """
    CREATE TABLE vendor_capabilities (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      vendor_id uuid NOT NULL REFERENCES vendors,
      capability_key text NOT NULL CHECK (capability_key ~ '^[a-z_]+[.][a-z_]+$'),
      enabled boolean NOT NULL DEFAULT false,
      created_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (vendor_id, capability_key)
    )
    """,
    """
    CREATE TABLE catalog_items (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      vendor_id uuid NOT NULL REFERENCES vendors,
      sku text NOT NULL CHECK (sku <> ''),
      name text NOT NULL CHECK (name <> ''),
      short_name text NOT NULL CHECK (char_length(short_name) BETWEEN 1 AND 24),
      unit text NOT NULL CHECK (char_length(unit) <= 12),
      price integer NOT NULL CHECK (price BETWEEN 1 AND 1000000),
      stock integer CHECK (stock >= 0),
      aliases text[] NOT NULL DEFAULT '{}',
      active boolean NOT NULL DEFAULT true,
      position integer NOT NULL DEFAULT 0,
      created_at timestamptz NOT NULL DEFAULT now(),
      updated_at timestamptz NOT NULL DEFAULT now(),
      UNIQUE (vendor_id, sku)
    )
    """,
    """
    CREATE TABLE vendor_channels (
      phone_number_id text PRIMARY KEY CHECK (phone_number_id <> ''),
      vendor_id uuid NOT NULL REFERENCES vendors,
      display_phone text NOT NULL,
      token_ref text NOT NULL CHECK (token_ref ~ '^(plain|env|file|vault):'),
      created_at timestamptz NOT NULL DEFAULT now()
    )
    """,
    "CREATE INDEX vendor_channels_vendor_id_idx ON vendor_channels (vendor_id)",
    """
    CREATE TABLE vendor_shortcodes (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      vendor_id uuid NOT NULL REFERENCES vendors,
      kind text NOT NULL CHECK (kind IN ('paybill', 'till')),
      business_shortcode text NOT NULL CHECK (business_shortcode ~ '^[0-9]{5,7}$'),
      party_b text NOT NULL CHECK (party_b ~ '^[0-9]{5,7}$'),
      environment text NOT NULL CHECK (environment IN ('sandbox', 'production')),
      secret_ref text NOT NULL,
      active boolean NOT NULL DEFAULT true,
      created_at timestamptz NOT NULL DEFAULT now(),
      CONSTRAINT vendor_shortcodes_paybill_is_one_number CHECK (kind <> 'paybill' OR party_b = business_shortcode),
      CONSTRAINT vendor_shortcodes_plain_is_for_sandbox
        CHECK (secret_ref ~ '^(env|file|vault):' OR (secret_ref ~ '^plain:' AND environment = 'sandbox')),
      UNIQUE (id, vendor_id)
    )
    """,
    "CREATE INDEX vendor_shortcodes_vendor_id_idx ON vendor_shortcodes (vendor_id)",
    """
    CREATE UNIQUE INDEX vendor_shortcodes_one_owner ON vendor_shortcodes (party_b)
      WHERE environment = 'production' AND active
    """,
    """
    CREATE TABLE internal_keys (
      id uuid PRIMARY KEY DEFAULT gen_random_uuid(),
      name text NOT NULL CHECK (name <> ''),
      key_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(key_sha256) = 32),
      vendor_id uuid REFERENCES vendors,
      created_at timestamptz NOT NULL DEFAULT now(),
      not_after timestamptz,
      revoked_at timestamptz
    )
    """,
    """
    CREATE TABLE daily_intent_slots (
      customer_phone text NOT NULL CHECK (customer_phone ~ '^254[0-9]{9}$'),
      day date NOT NULL,
      slot smallint NOT NULL CHECK (slot BETWEEN 1 AND 3),
      vendor_id uuid NOT NULL,
      intent_id uuid NOT NULL UNIQUE,
      created_at timestamptz NOT NULL DEFAULT now(),
      PRIMARY KEY (customer_phone, day, slot)
    )
    """,
    """
    CREATE TABLE stray_updates (
      id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
      phone_number_id text,
      kind text NOT NULL,
      body jsonb NOT NULL,
      body_sha256 bytea NOT NULL UNIQUE CHECK (octet_length(body_sha256) = 32),
      seen_count integer NOT NULL DEFAULT 1,
      received_at timestamptz NOT NULL
    )
    """,
)


def upgrade() -> None:
    """Create the tables."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    for statement in TABLES:
        op.execute(statement)


def downgrade() -> None:
    """Drop the tables."""
    op.execute("SET LOCAL lock_timeout = '3s'")
    op.execute(
        "DROP TABLE stray_updates, daily_intent_slots, internal_keys, vendor_shortcodes, vendor_channels, "
        "catalog_items, vendor_capabilities, vendors"
    )
