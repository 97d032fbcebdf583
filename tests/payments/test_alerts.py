"""What a vendor is told on WhatsApp of its money."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs
from typer.testing import CliRunner, Result

from conversation.whatsapp import limits
from router import alerts, listing
from router.usage import days, effects
from router.work import unit_of_work
from soko.cli import app
from tests.operator import operating
from tests.payments.bodies import c2b, failure, success
from tests.payments.shop import Shop
from tests.payments.test_settle import pushed

RECEIPT, OTHER = "RKTQDM7W61", "RKTQDM7W62"
VENDORS_PHONE = "254722000001"


def tell(shop: Shop, **changes: str | None) -> None:
    listing.change_vendor(shop.databases, shop.vendor_id, {"alert_phone": VENDORS_PHONE} | changes)


def told(shop: Shop) -> list[dict[str, Any]]:
    return shop.rows("SELECT recipient, phone_number_id, message, conversation_id, cause FROM outbox ORDER BY id")


def paid(shop: Shop) -> None:
    intent = pushed(shop)
    shop.call_back(intent.id, success(intent, receipt=RECEIPT))
    shop.settle()
    shop.confirm()


@pytest.mark.parametrize(
    ("language", "words"),
    [
        ("en", "Order S0001 is paid: 1 x Order. KES 430, receipt RKTQDM7W61, is in your M-Pesa account."),
        ("sw", "Oda S0001 imelipwa: 1 x Order. KES 430, risiti RKTQDM7W61, iko kwenye akaunti yako ya M-Pesa."),
        ("fr", "Order S0001 is paid: 1 x Order. KES 430, receipt RKTQDM7W61, is in your M-Pesa account."),
    ],
)
def test_a_vendor_is_told_once_of_a_paid_order_and_of_no_customer(shop: Shop, language: str, words: str) -> None:
    tell(shop, language=language)
    paid(shop)
    shop.report(c2b("S0001", receipt=RECEIPT))
    shop.settle_reports()
    (row,) = told(shop)
    values = ["S0001", "1 x Order", "430", RECEIPT]
    template = {"name": "soko_order_paid", "language": "sw" if language == "sw" else "en", "values": values}
    assert row["message"] == {"text": words, "template": template}
    assert limits.check(row["message"]) == []
    assert (row["recipient"], row["phone_number_id"], row["conversation_id"]) == (VENDORS_PHONE, "100000000000001", None)
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        different = {each.meter for each in effects.compare(work, days.day_of(shop.clock()))}
    assert "message_out" not in different, "it is counted as what it is"
    assert shop.rows("SELECT category, quantity FROM usage_records WHERE meter = 'message_out'") == [
        {"category": "template", "quantity": 1}
    ]


def test_money_that_pays_no_order_is_told_to_the_vendor(shop: Shop) -> None:
    tell(shop)
    shop.report(c2b("Mary", receipt=OTHER, amount="1200"))
    shop.settle_reports()
    (row,) = told(shop)
    assert row["message"]["text"].startswith("KES 1,200, receipt RKTQDM7W62, came to your M-Pesa account and pays no order")
    assert limits.check(row["message"]) == []


def test_a_set_up_that_m_pesa_refuses_is_told_once_a_day_to_the_vendor_and_to_the_operator(shop: Shop) -> None:
    tell(shop)
    with capture_logs() as lines:
        for phone in ("254712000001", "254712000002"):
            intent = pushed(shop, checkout=f"ws_CO_{phone}", phone=phone)
            shop.call_back(intent.id, failure(intent, "2028", "The request is not permitted"))
            shop.settle()
    (row,) = told(shop)
    assert "could not pay order S0001 by M-Pesa" in row["message"]["text"]
    assert row["message"]["template"]["values"][1] == "The request is not permitted"
    assert limits.check(row["message"]) == []
    assert [line["event"] for line in lines if line["log_level"] == "warning"] == ["shop_set_up_refused"] * 2
    shop.clock.advance(days=1)
    intent = pushed(shop, checkout="ws_CO_3", phone="254712000003")
    shop.call_back(intent.id, failure(intent, "2028", "The request is not permitted"))
    shop.settle()
    assert len(told(shop)) == 2


def test_a_vendor_who_asked_for_nothing_is_told_nothing(shop: Shop) -> None:
    paid(shop)
    assert told(shop) == []
    tell(shop)
    tell(shop, alert_phone=None)
    shop.report(c2b("Mary", receipt=OTHER))
    shop.settle_reports()
    assert told(shop) == []


def test_a_vendor_without_a_number_on_whatsapp_is_paid_all_the_same(shop: Shop) -> None:
    tell(shop)
    with operating(shop.databases) as conn:
        conn.execute("DELETE FROM vendor_channels WHERE vendor_id = %s", (shop.vendor_id,))
    shop.databases.cache.forget()
    paid(shop)
    assert told(shop) == []
    assert shop.rows("SELECT status FROM orders") == [{"status": "PAID"}]


def test_a_paying_that_is_taken_back_tells_nobody(shop: Shop) -> None:
    tell(shop)
    ordered = shop.order()

    def fail_after_paying() -> None:
        with unit_of_work(shop.databases, shop.vendor_id) as work:
            alerts.order_paid(work, ordered.order_id, number="S0001", total=430, items=(), receipt=RECEIPT, now=shop.clock())
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail_after_paying()
    assert told(shop) == []


def test_a_long_order_is_told_in_one_line_that_whatsapp_takes(shop: Shop) -> None:
    tell(shop)
    items = [f"2 x Sabuni ya\n kufua    {n}" for n in range(1, 51)]
    ordered = shop.order()
    with unit_of_work(shop.databases, shop.vendor_id) as work:
        alerts.order_paid(work, ordered.order_id, number="S0001", total=100, items=items, receipt=None, now=shop.clock())
    (row,) = told(shop)
    items = row["message"]["template"]["values"][1]
    assert items.startswith("2 x Sabuni ya kufua 1, 2 x Sabuni ya kufua 2, ")
    shown = items.count(" x ")
    assert items.endswith(f", + {50 - shown}")
    assert len(items) <= alerts.ITEMS_SHOWN + 10
    assert limits.check(row["message"]) == []


def test_the_page_for_vendors_has_the_words_to_register() -> None:
    page = Path("docs/payments.md").read_text()
    for template in alerts.TEMPLATES:
        for language, words in template.words.items():
            numbered = words.format(*(f"{{{{{n}}}}}" for n in range(1, words.count("{}") + 1)))
            assert f"| `{template.name}` | {language} | {numbered} |" in page


def soko(environment: Mapping[str, str], *words: object) -> Result:
    return CliRunner().invoke(app, ["vendor", "alert", *map(str, words)], env=environment)


def test_an_operator_says_who_is_told(shop: Shop, environment: dict[str, str], other_shop: Shop) -> None:
    said = soko(environment, shop.vendor_id, "0722 000 001")
    assert (said.exit_code, said.stdout, said.stderr) == (0, "254722000001 is told of each paid order.\n", "")
    with operating(shop.databases) as conn:
        rows = conn.execute("SELECT alert_phone FROM vendors ORDER BY id = %s DESC", (shop.vendor_id,)).fetchall()
    assert [row["alert_phone"] for row in rows] == [VENDORS_PHONE, None]
    assert soko(environment, shop.vendor_id).stdout == "Nobody is told.\n"
    wrong = soko(environment, shop.vendor_id, "12")
    assert (wrong.exit_code, "write 0712345678" in wrong.stderr) == (2, True)
    unknown = soko(environment, "00000000-0000-0000-0000-000000000000", "0722000001")
    assert (unknown.exit_code, "There is no vendor" in unknown.stderr) == (1, True)
