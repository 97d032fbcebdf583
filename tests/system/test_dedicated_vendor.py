"""The old system's checklist for a vendor with a database of its own, from its SQL to a paid order in that database."""

import psycopg
from psycopg.conninfo import conninfo_to_dict
from typer.testing import CliRunner

from router.ids import VendorId
from soko.cli import app
from soko.embedded import Urls
from tests.operator import operating
from tests.router.test_databases import ENABLE, db_target, register
from tests.servers import scratch_database
from tests.system.shop import NUMBER, Shop

COPY = (
    "UPDATE vendor_channels SET vendor_id = %(acme)s WHERE phone_number_id = %(number)s",
    """
    INSERT INTO catalog_items (vendor_id, sku, name, short_name, unit, price, stock, aliases, position)
    SELECT %(acme)s, sku, name, short_name, unit, price, stock, aliases, position FROM catalog_items WHERE vendor_id = %(seed)s
    """,
    """
    INSERT INTO vendor_shortcodes (vendor_id, kind, business_shortcode, party_b, environment, secret_ref)
    SELECT %(acme)s, kind, business_shortcode, party_b, environment, secret_ref FROM vendor_shortcodes WHERE vendor_id = %(seed)s
    """,
)


def test_a_dedicated_vendor_sells_into_its_own_database(shop: Shop, servers: Urls) -> None:
    with scratch_database(servers.ops, prefix="tenant_acme") as own:
        migrated = CliRunner().invoke(app, ["migrate", "tenant"], env={"DATABASE_URL": own})
        assert migrated.exit_code == 0, migrated.output
        acme = register(shop.databases, db_target(own))
        with operating(shop.databases) as conn:
            for capability in ("commerce.catalog", "commerce.orders", "payments.mpesa_stk"):
                conn.execute(ENABLE, (acme, capability))
            for statement in COPY:
                conn.execute(statement, {"acme": acme, "seed": shop.vendor_id, "number": NUMBER})
        shop.databases.cache.forget()
        seed, shop.vendor_id = shop.vendor_id, VendorId(acme)
        shop.start_worker()
        made = shop.http.post(
            f"{shop.web_url}/orders",
            json={"vendor_id": str(acme), "customer_phone": "254703283383", "amount": 30},
            headers={"x-vendor-id": str(acme), "x-internal-key": "dev-internal-secret"},
        )
        assert made.status_code == 201, made.text
        shop.order_up_to_pay()
        shop.say(text="PAY")
        shop.until(lambda: any("Paid" in reply["text"] for reply in shop.replies()), "the receipt")
        with psycopg.connect(own) as direct:
            assert conninfo_to_dict(own)["dbname"] == direct.info.dbname
            orders = direct.execute("SELECT source, status FROM orders ORDER BY created_at").fetchall()
            paid = direct.execute("SELECT p.amount = o.total FROM payments p JOIN orders o ON o.id = p.order_id").fetchall()
        assert orders == [("api", "DRAFT"), ("chat", "PAID")]
        assert paid == [(True,)]
        with shop.databases.ops(seed) as shared:
            assert shared.execute("SELECT count(*) AS n FROM inbox").fetchone() == {"n": 0}
        shop.kill_worker()
        shop.databases.close()
