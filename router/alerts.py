"""What a vendor is told on WhatsApp, on a phone of its own: that an order is paid, that money came which pays none.

It may leave at any hour, so it is a template: Meta has to approve it, in each language, under this name and with these words. It
names no customer. It is written in the transaction of what it tells, once for each cause.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from router import channels, outbox
from router.ids import OrderId
from router.usage.days import day_of
from router.vendors import get_vendor
from router.work import Work

ENGLISH: Final = "en"
WHY_SHOWN: Final = 100
ITEMS_SHOWN: Final = 500  # characters: with the rest it stays below the 1024 that Meta takes


@dataclass(frozen=True, kw_only=True)
class AlertTemplate:
    """`words` by language, with a {} for each value."""

    name: str
    words: Mapping[str, str]


ORDER_PAID: Final = AlertTemplate(
    name="soko_order_paid",
    words={
        ENGLISH: "Order {} is paid: {}. KES {}, receipt {}, is in your M-Pesa account.",
        "sw": "Oda {} imelipwa: {}. KES {}, risiti {}, iko kwenye akaunti yako ya M-Pesa.",
    },
)
MONEY_UNMATCHED: Final = AlertTemplate(
    name="soko_money_unmatched",
    words={
        ENGLISH: "KES {}, receipt {}, came to your M-Pesa account and pays no order by itself. Please see whose it is.",
        "sw": "KES {}, risiti {}, imeingia kwenye akaunti yako ya M-Pesa bila kulipia oda yoyote. Tafadhali angalia ni ya nani.",
    },
)
PAYMENTS_STOPPED: Final = AlertTemplate(
    name="soko_payments_stopped",
    words={
        ENGLISH: "A customer could not pay order {} by M-Pesa: your M-Pesa set-up was refused ({}). Please have it checked.",
        "sw": "Mteja hakuweza kulipa oda {} kwa M-Pesa: mpangilio wako wa M-Pesa umekataliwa ({}). Tafadhali omba ukaguliwe.",
    },
)
TEMPLATES: Final = (ORDER_PAID, MONEY_UNMATCHED, PAYMENTS_STOPPED)
NO_RECEIPT: Final = "-"  # M-Pesa confirmed the payment and told no receipt yet


def order_paid(
    work: Work, order_id: OrderId, *, number: str, total: int, items: Sequence[str], receipt: str | None, now: datetime
) -> None:
    """Tell the vendor to prepare an order of `items`, "2 x Unga 2kg"."""
    values = [number, _in_one_line(items), f"{total:,}", receipt or NO_RECEIPT]
    _tell(work, ORDER_PAID, values, cause=f"order_paid:{order_id}", now=now)


def money_unmatched(work: Work, payment_id: UUID, *, amount: int, receipt: str, now: datetime) -> None:
    """Tell the vendor of money that a person has to assign."""
    _tell(work, MONEY_UNMATCHED, [f"{amount:,}", receipt], cause=f"money_unmatched:{payment_id}", now=now)


def payments_stopped(work: Work, *, number: str, why: str, now: datetime) -> None:
    """Tell the vendor that its own set-up keeps customers from paying; once a day, whoever it happens to."""
    _tell(work, PAYMENTS_STOPPED, [number, " ".join(why.split())[:WHY_SHOWN]], cause=f"payments_stopped:{day_of(now)}", now=now)


def _tell(work: Work, template: AlertTemplate, values: Sequence[str], *, cause: str, now: datetime) -> None:
    vendor = get_vendor(work.databases, work.vendor_id)
    channel = channels.get_channel_of(work.databases, work.vendor_id) if vendor.alert_phone else None
    if channel is None or vendor.alert_phone is None:
        return
    language = vendor.language if vendor.language in template.words else ENGLISH
    outbox.add_alert(
        work,
        cause=cause,
        phone_number_id=channel.phone_number_id,
        recipient=vendor.alert_phone,
        place=template.name,
        message={
            "text": template.words[language].format(*values),
            "template": {"name": template.name, "language": language, "values": list(values)},
        },
        now=now,
    )


def _in_one_line(items: Sequence[str]) -> str:
    """Name them as Meta wants a value to be, without a line break; what does not fit is counted."""
    shown: list[str] = []
    for item in (" ".join(item.split()) for item in items):
        if sum(len(each) + 2 for each in shown) + len(item) > ITEMS_SHOWN:
            return ", ".join([*shown, f"+ {len(items) - len(shown)}"])
        shown.append(item)
    return ", ".join(shown)
