from datetime import datetime
from typing import LiteralString
from uuid import uuid4

import pytest

from router import capabilities, catalog, channels, vendors
from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import VendorId
from router.json_values import JSON
from router.seeding import DUKA_LA_PILI
from tests.operator import operating


def execute(databases: Databases, statement: LiteralString, *values: object) -> None:
    with operating(databases) as conn:
        conn.execute(statement, values)
    databases.cache.forget()


def test_a_vendor_is_found_and_a_stranger_is_refused(databases: Databases, vendor_id: VendorId) -> None:
    found = vendors.get_vendor(databases, vendor_id)
    assert (found.name, found.isolation_level, found.language) == ("Mama Duka", "shared", "en")
    with pytest.raises(Refused) as refused:
        vendors.get_vendor(databases, VendorId(uuid4()))
    assert refused.value.code == "unknown_vendor"


def test_a_number_leads_to_its_vendor(databases: Databases, vendor_id: VendorId) -> None:
    channel = channels.find_channel(databases, "100000000000001")
    assert channel is not None
    assert (channel.vendor_id, channel.token_ref) == (vendor_id, "plain:sim-token-1")
    assert channels.get_channel_of(databases, vendor_id) == channel
    assert channels.find_channel(databases, "999") is None
    assert channels.get_channel_of(databases, VendorId(uuid4())) is None


def test_an_update_for_nobody_is_kept_once_and_counted(databases: Databases, now: datetime) -> None:
    bodies: list[dict[str, JSON]] = [{"a": 1, "b": "x\x00"}, {"b": "x\x00", "a": 1}, {"a": 2}]
    for body in bodies:
        channels.keep_stray(databases, phone_number_id="999", kind="message", body=body, now=now)
    channels.keep_stray(databases, phone_number_id=None, kind="other", body={"c": 1}, now=now)
    with operating(databases) as conn:
        rows = conn.execute("SELECT phone_number_id, kind, seen_count FROM stray_updates ORDER BY id").fetchall()
    assert rows == [
        {"phone_number_id": "999", "kind": "message", "seen_count": 2},
        {"phone_number_id": "999", "kind": "message", "seen_count": 1},
        {"phone_number_id": None, "kind": "other", "seen_count": 1},
    ]


@pytest.mark.parametrize("key", [capabilities.CATALOG, capabilities.ORDERS, capabilities.MPESA_STK])
def test_a_capability_is_denied_unless_it_is_enabled(databases: Databases, vendor_id: VendorId, key: str) -> None:
    capabilities.require(databases, vendor_id, key)
    execute(
        databases, "UPDATE vendor_capabilities SET enabled = false WHERE vendor_id = %s AND capability_key = %s", vendor_id, key
    )
    for vendor in (vendor_id, VendorId(uuid4())):
        with pytest.raises(Refused, match=key) as refused:
            capabilities.require(databases, vendor, key)
        assert refused.value.code == "capability_off"
    capabilities.require(databases, VendorId(DUKA_LA_PILI), key)


def test_the_catalogue_lists_what_is_on_sale_in_its_order(databases: Databases, vendor_id: VendorId) -> None:
    before = catalog.list_items(databases, vendor_id)
    assert [item.sku for item in before[:2]] == ["unga-2kg", "sukari-1kg"]
    assert {"unga", "maize flour"} <= set(before[0].aliases)
    execute(databases, "UPDATE catalog_items SET active = false WHERE sku = 'unga-2kg'")
    assert catalog.list_items(databases, vendor_id) == before[1:]


def test_the_catalogue_is_closed_without_its_capability(databases: Databases, vendor_id: VendorId) -> None:
    execute(databases, "DELETE FROM vendor_capabilities WHERE capability_key = 'commerce.catalog'")
    assert catalog.list_items(databases, vendor_id) == ()


def test_pages_cover_the_catalogue_and_end(databases: Databases, vendor_id: VendorId) -> None:
    everything = catalog.list_items(databases, vendor_id)
    pages = [catalog.to_page(everything, page) for page in (1, 2, 3, 4)]
    assert [item for page in pages for item in page.items] == list(everything)
    assert [page.has_more for page in pages] == [True, True, False, False]
    assert catalog.to_page(everything, 0) == pages[0]
    assert catalog.to_page(everything, 1, size=len(everything)).has_more is False


@pytest.mark.parametrize(
    ("statement", "guard"),
    [
        ("UPDATE catalog_items SET short_name = repeat('x', 25)", "short_name"),
        ("UPDATE catalog_items SET unit = repeat('x', 13)", "unit"),
        ("UPDATE catalog_items SET price = 0", "price"),
        ("UPDATE catalog_items SET stock = -1", "stock"),
        ("UPDATE vendors SET isolation_level = 'own'", "isolation_level"),
        ("UPDATE vendor_shortcodes SET party_b = '600999' WHERE kind = 'paybill'", "paybill_is_one_number"),
        ("UPDATE vendor_shortcodes SET environment = 'production'", "plain_is_for_sandbox"),
        ("UPDATE vendor_shortcodes SET party_b = 'abc' WHERE kind = 'till'", "party_b"),
        ("UPDATE vendor_shortcodes SET kind = 'wallet'", "kind"),
        ("UPDATE vendor_channels SET token_ref = 'EAAG-a-real-token'", "token_ref"),
        ("UPDATE internal_keys SET key_sha256 = 'dev-internal-secret'", "key_sha256"),
        ("INSERT INTO daily_intent_slots VALUES ('254700000001', '2026-11-20', 4, gen_random_uuid(), gen_random_uuid())", "slot"),
        ("INSERT INTO daily_intent_slots VALUES ('0700000001', '2026-11-20', 1, gen_random_uuid(), gen_random_uuid())", "phone"),
    ],
)
def test_the_platform_refuses_rows_that_cannot_be_right(databases: Databases, statement: LiteralString, guard: str) -> None:
    with pytest.raises(Broken, match=guard):
        execute(databases, statement)


def test_a_real_shortcode_has_one_owner(databases: Databases) -> None:
    statement: LiteralString = (
        "UPDATE vendor_shortcodes SET environment = 'production', secret_ref = 'env:X', party_b = '5001234'"
    )
    with pytest.raises(Broken, match="one_owner"):
        execute(databases, statement + ", business_shortcode = '5001234'")


def test_a_daily_slot_is_taken_once_over_all_vendors(databases: Databases) -> None:
    take: LiteralString = (
        "INSERT INTO daily_intent_slots (customer_phone, day, slot, vendor_id, intent_id) VALUES (%s, %s, 1, %s, %s)"
    )
    execute(databases, take, "254700000001", "2026-11-20", uuid4(), uuid4())
    with pytest.raises(Broken, match="daily_intent_slots_pkey"):
        execute(databases, take, "254700000001", "2026-11-20", uuid4(), uuid4())
