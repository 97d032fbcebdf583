"""What usage costs: rows, each from a month on. A price that applied to a closed month does not change it any more."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final

from router.databases import Databases
from router.errors import Refused
from router.metering import Meter

LIST: Final = "SELECT meter, category, valid_from, per, cents FROM usage_prices ORDER BY meter, category, valid_from"
SET: Final = """
    INSERT INTO usage_prices (meter, category, valid_from, per, cents)
    VALUES (%(meter)s, %(category)s, %(valid_from)s, %(per)s, %(cents)s)
    ON CONFLICT (meter, category, valid_from) DO UPDATE SET per = excluded.per, cents = excluded.cents
    """


@dataclass(frozen=True, kw_only=True)
class Price:
    """`cents` (of a shilling) for every `per` units; `category` empty: for every category without a price of its own."""

    meter: str
    category: str
    valid_from: date
    per: int
    cents: int


FREE: Final = Price(meter="", category="", valid_from=date.min, per=1, cents=0)


def list_prices(databases: Databases) -> list[Price]:
    """List every price, also those of the past."""
    with databases.platform() as conn:
        return [Price(**row) for row in conn.execute(LIST)]


def set_price(databases: Databases, price: Price) -> None:
    """Say what a meter costs from a month on. Raises Refused: unknown_meter, bad_price."""
    if price.meter not in set(Meter):
        raise Refused("unknown_meter", f"there is no meter {price.meter!r}; there are {', '.join(Meter)}")
    if price.valid_from.day != 1 or not 0 <= price.cents < 2**31 or not 1 <= price.per < 2**31:
        raise Refused("bad_price", "a price is 0 cents or more for 1 unit or more, from the first of a month")
    with databases.platform() as conn:
        conn.execute(SET, vars(price))


def find(prices: Sequence[Price], *, meter: str, category: str, month: date) -> Price:
    """Return the newest price of that month, the category's own before the meter's; FREE without any."""
    for wanted in (category, ""):
        known = [price for price in prices if (price.meter, price.category) == (meter, wanted) and price.valid_from <= month]
        if known:
            return max(known, key=lambda price: price.valid_from)
    return FREE
