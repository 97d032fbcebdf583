"""A month's statement: open, it is what was used so far; closed, it never changes, and what comes late enters the next one."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Final

from psycopg.rows import DictRow

from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.usage.days import next_month, start_of
from router.usage.prices import Price, find, list_prices
from router.work import unit_of_work

Used = Mapping[tuple[date, str, str], int]

USED: Final = """
    SELECT date_trunc('month', day)::date AS used_in, meter, category, sum(quantity)::bigint AS quantity
    FROM usage_records WHERE vendor_id = %s AND day < %s GROUP BY 1, 2, 3
    """
BILLED: Final = """
    SELECT used_in, meter, category, sum(quantity)::bigint AS quantity FROM usage_statement_lines
    WHERE vendor_id = %s AND month < %s GROUP BY 1, 2, 3
    """
CLOSED: Final = "SELECT month, total_cents, closed_at FROM usage_statements WHERE vendor_id = %s AND month = %s"
NEWEST: Final = "SELECT max(month) AS month FROM usage_statements WHERE vendor_id = %s"
LINES: Final = """
    SELECT used_in, meter, category, quantity, per, cents, amount_cents FROM usage_statement_lines
    WHERE vendor_id = %s AND month = %s ORDER BY used_in DESC, meter, category
    """
# Two months closed at the same moment would both charge for what came late.
ONE_AT_A_TIME: Final = "SELECT FROM vendors WHERE id = %s FOR NO KEY UPDATE"
CLOSE: Final = "INSERT INTO usage_statements (vendor_id, month, total_cents, closed_at) VALUES (%s, %s, %s, %s)"
WRITE_LINE: Final = """
    INSERT INTO usage_statement_lines (vendor_id, month, used_in, meter, category, quantity, per, cents, amount_cents)
    VALUES (%(vendor_id)s, %(month)s, %(used_in)s, %(meter)s, %(category)s, %(quantity)s, %(per)s, %(cents)s, %(amount_cents)s)
    """


@dataclass(frozen=True, kw_only=True)
class StatementLine:
    """`quantity` at `cents` for every `per`; an adjustment when it was `used_in` a month before the statement's."""

    used_in: date
    meter: str
    category: str
    quantity: int
    per: int
    cents: int
    amount_cents: int


@dataclass(frozen=True, kw_only=True)
class Statement:
    """One vendor's month; `closed_at` None: it may still grow."""

    vendor_id: VendorId
    month: date
    closed_at: datetime | None
    lines: tuple[StatementLine, ...]

    @property
    def total_cents(self) -> int:
        """The sum of the lines, each rounded to the cent by itself."""
        return sum(line.amount_cents for line in self.lines)


def get_statement(databases: Databases, vendor_id: VendorId, month: date) -> Statement:
    """Return the closed statement, or what it would be now. Raises Refused("unknown_vendor")."""
    with databases.platform(vendor_id) as conn:
        closed = conn.execute(CLOSED, (vendor_id, month)).fetchone()
        lines = conn.execute(LINES, (vendor_id, month)).fetchall()
        billed = _to_used(conn.execute(BILLED, (vendor_id, month)))
    if closed is not None:
        return Statement(
            vendor_id=vendor_id, month=month, closed_at=closed["closed_at"], lines=tuple(StatementLine(**row) for row in lines)
        )
    with unit_of_work(databases, vendor_id) as work:
        used = _to_used(work.conn.execute(USED, (vendor_id, next_month(month))))
    drawn = draw_lines(used, billed, list_prices(databases))
    return Statement(vendor_id=vendor_id, month=month, closed_at=None, lines=drawn)


def close(databases: Databases, vendor_id: VendorId, month: date, *, now: datetime) -> Statement:
    """Close a month. Closing it again returns it as it is. Raises Refused: month_open, later_month_closed, unknown_vendor."""
    if now < start_of(next_month(month)):
        raise Refused("month_open", f"{month:%Y-%m} is not over yet in Nairobi")
    with databases.platform(vendor_id) as conn:
        conn.execute(ONE_AT_A_TIME, (vendor_id,))
        statement = get_statement(databases, vendor_id, month)
        if statement.closed_at is not None:
            return statement
        newest = conn.execute(NEWEST, (vendor_id,)).fetchone()
        if newest is not None and newest["month"] is not None and newest["month"] > month:
            message = f"{newest['month']:%Y-%m} is closed already: what was used in {month:%Y-%m} is in it"
            raise Refused("later_month_closed", message)
        conn.execute(CLOSE, (vendor_id, month, statement.total_cents, now))
        for line in statement.lines:
            conn.execute(WRITE_LINE, {"vendor_id": vendor_id, "month": month, **vars(line)})
    return get_statement(databases, vendor_id, month)


def _to_used(rows: Iterable[DictRow]) -> Used:
    return {(row["used_in"], row["meter"], row["category"]): row["quantity"] for row in rows}


def draw_lines(used: Used, billed: Used, prices: Sequence[Price]) -> tuple[StatementLine, ...]:
    """Return what was used and is in no earlier statement, priced by the month it was used in; this month first."""
    lines: list[StatementLine] = []
    for used_in, meter, category in sorted(used.keys() | billed.keys(), key=lambda key: (-key[0].toordinal(), *key[1:])):
        key = (used_in, meter, category)
        quantity = used.get(key, 0) - billed.get(key, 0)
        if quantity:
            price = find(prices, meter=meter, category=category, month=used_in)
            lines.append(
                StatementLine(
                    used_in=used_in,
                    meter=meter,
                    category=category,
                    quantity=quantity,
                    per=price.per,
                    cents=price.cents,
                    amount_cents=to_cents(quantity, price),
                )
            )
    return tuple(lines)


def to_cents(quantity: int, price: Price) -> int:
    """Return quantity x cents / per, half a cent rounded away from zero."""
    whole, rest = divmod(abs(quantity) * price.cents, price.per)
    amount = whole + (2 * rest >= price.per)
    return amount if quantity > 0 else -amount
