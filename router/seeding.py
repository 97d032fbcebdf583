"""The development seed: idempotent, safe when several run at once, refused in production."""

from collections.abc import Iterator, Sequence
from typing import Final, LiteralString

from psycopg import Connection
from psycopg.rows import DictRow

from router.errors import Broken, Refused
from router.json_values import to_jsonb
from router.keys import Operation, hash_key
from router.revisions import Which, connect, current, heads
from router.seeds import development
from router.seeds.development import CAPABILITIES, INTERNAL_KEY, INTERNAL_KEY_NAME, SHOPS, Shop

MAMA_DUKA: Final = development.MAMA_DUKA.id
DUKA_LA_PILI: Final = development.DUKA_LA_PILI.id

# Each statement writes only what differs, so that its row count says what seeding changed. Several at once wait for each
# other at the first row they both write, and always in the same order.
VENDOR: Final = """
    INSERT INTO vendors (id, name, language) VALUES (%(id)s, %(name)s, %(language)s)
    ON CONFLICT (id) DO UPDATE SET name = excluded.name, language = excluded.language, updated_at = now()
    WHERE (vendors.name, vendors.language) IS DISTINCT FROM (excluded.name, excluded.language)
    """
CAPABILITY: Final = """
    INSERT INTO vendor_capabilities (vendor_id, capability_key, enabled) VALUES (%(vendor_id)s, %(key)s, true)
    ON CONFLICT (vendor_id, capability_key) DO UPDATE SET enabled = true WHERE NOT vendor_capabilities.enabled
    """
CHANNEL: Final = """
    INSERT INTO vendor_channels (phone_number_id, vendor_id, display_phone, token_ref)
    VALUES (%(phone_number_id)s, %(vendor_id)s, %(display_phone)s, %(token_ref)s)
    ON CONFLICT (phone_number_id) DO UPDATE
      SET vendor_id = excluded.vendor_id, display_phone = excluded.display_phone, token_ref = excluded.token_ref
    WHERE (vendor_channels.vendor_id, vendor_channels.display_phone, vendor_channels.token_ref)
      IS DISTINCT FROM (excluded.vendor_id, excluded.display_phone, excluded.token_ref)
    """
SHORTCODE: Final = """
    INSERT INTO vendor_shortcodes (id, vendor_id, kind, business_shortcode, party_b, environment, secret_ref)
    VALUES (%(id)s, %(vendor_id)s, %(kind)s, %(business_shortcode)s, %(party_b)s, 'sandbox', %(secret_ref)s)
    ON CONFLICT (id) DO UPDATE SET secret_ref = excluded.secret_ref WHERE vendor_shortcodes.secret_ref <> excluded.secret_ref
    """
# The stock of an item that is there stays: somebody may have sold some.
ITEM: Final = """
    INSERT INTO catalog_items (id, vendor_id, sku, name, short_name, unit, price, stock, aliases, position)
    VALUES (%(id)s, %(vendor_id)s, %(sku)s, %(name)s, %(short_name)s, %(unit)s, %(price)s, %(stock)s, %(aliases)s, %(position)s)
    ON CONFLICT (vendor_id, sku) DO UPDATE
      SET name = excluded.name, short_name = excluded.short_name, unit = excluded.unit, price = excluded.price,
          aliases = excluded.aliases, position = excluded.position, updated_at = now()
    WHERE (catalog_items.name, catalog_items.short_name, catalog_items.unit, catalog_items.price, catalog_items.aliases,
           catalog_items.position)
      IS DISTINCT FROM (excluded.name, excluded.short_name, excluded.unit, excluded.price, excluded.aliases, excluded.position)
    """
BRANCH: Final = """
    INSERT INTO vendor_branches (vendor_id, id, position, name, about, hours)
    VALUES (%(vendor_id)s, %(id)s, %(position)s, %(name)s, %(about)s, %(hours)s)
    ON CONFLICT (vendor_id, id) DO UPDATE
      SET position = excluded.position, name = excluded.name, about = excluded.about, hours = excluded.hours
    WHERE (vendor_branches.position, vendor_branches.name, vendor_branches.about, vendor_branches.hours)
      IS DISTINCT FROM (excluded.position, excluded.name, excluded.about, excluded.hours)
    """
KEY: Final = """
    INSERT INTO internal_keys (name, key_sha256, operations) VALUES (%(name)s, %(hash)s, %(operations)s)
    ON CONFLICT (key_sha256) DO NOTHING
    """
SHARED_VENDORS: Final = "SELECT count(*) AS vendors FROM vendors WHERE isolation_level = 'shared'"


def seed_platform(url: str, *, production: bool = False) -> list[str]:
    """Put in two shops and the development key; returns what changed, one line a table, empty when all was there.

    Raises Refused("seed_in_production"), Unavailable, Broken when the database is not migrated.
    """
    _refuse(production=production)
    with connect(url) as conn:
        _require_head(conn, Which.PLATFORM)
        counts = {noun: sum(conn.execute(statement, row).rowcount for row in rows) for noun, statement, rows in _platform_rows()}
    return [f"{count} {noun} written" for noun, count in counts.items() if count]


def seed_ops(url: str, platform_url: str, *, production: bool = False) -> list[str]:
    """Check that the ops tables are there. Customers, orders and payments come from conversations: there is nothing to put in.

    Raises Refused("seed_in_production"), Unavailable, Broken when the database is not migrated.
    """
    _refuse(production=production)
    with connect(url) as conn:
        _require_head(conn, Which.OPS)
    with connect(platform_url) as conn:
        row = conn.execute(SHARED_VENDORS).fetchone()
    vendors = 0 if row is None else row["vendors"]
    return [f"nothing to put in: tables at {heads()[Which.OPS]}, ready for {vendors} vendors; rows come from conversations"]


def _platform_rows() -> Iterator[tuple[str, LiteralString, Sequence[dict[str, object]]]]:
    yield "vendors", VENDOR, [{"id": shop.id, "name": shop.name, "language": shop.language} for shop in SHOPS]
    yield "capabilities", CAPABILITY, [{"vendor_id": shop.id, "key": key} for shop in SHOPS for key in CAPABILITIES]
    yield "channels", CHANNEL, [_channel(shop) for shop in SHOPS]
    yield "shortcodes", SHORTCODE, [_shortcode(shop) for shop in SHOPS]
    yield "branches", BRANCH, [branch for shop in SHOPS for branch in _branches(shop)]
    yield "catalogue items", ITEM, [item for shop in SHOPS for item in _items(shop)]
    yield "internal keys", KEY, [{"name": INTERNAL_KEY_NAME, "hash": hash_key(INTERNAL_KEY), "operations": list(Operation)}]


def _channel(shop: Shop) -> dict[str, object]:
    return {
        "phone_number_id": shop.phone_number_id,
        "vendor_id": shop.id,
        "display_phone": shop.display_phone,
        "token_ref": shop.token_ref,
    }


def _shortcode(shop: Shop) -> dict[str, object]:
    code = shop.shortcode
    return {
        "id": shop.id_of("shortcode"),
        "vendor_id": shop.id,
        "kind": code.kind,
        "business_shortcode": code.business_shortcode,
        "party_b": code.party_b,
        "secret_ref": code.secret_ref,
    }


def _items(shop: Shop) -> list[dict[str, object]]:
    return [
        {
            "id": shop.id_of(item.sku),
            "vendor_id": shop.id,
            "sku": item.sku,
            "name": item.name,
            "short_name": item.short_name,
            "unit": item.unit,
            "price": item.price,
            "stock": item.stock,
            "aliases": list(item.also),
            "position": position,
        }
        for position, item in enumerate(shop.items, start=1)
    ]


def _branches(shop: Shop) -> list[dict[str, object]]:
    return [
        branch.model_dump(mode="json") | {"vendor_id": shop.id, "position": position, "hours": to_jsonb(hours)}
        for position, branch in enumerate(shop.branches)
        for hours in [[each.model_dump(mode="json") for each in branch.hours]]
    ]


def _require_head(conn: Connection[DictRow], which: Which) -> None:
    found, head = current(conn, which), heads()[which]
    if found != head:
        message = f"the {which} database is at {found or 'no revision'}, the seed needs {head}: run `soko migrate {which}`"
        raise Broken(message)


def _refuse(*, production: bool) -> None:
    if production:
        raise Refused("seed_in_production", "the development seed holds known keys: it is never put into a production database")
