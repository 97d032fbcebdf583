"""A statement as a file: CSV for a spreadsheet, JSON for a program. Both add up to the cent, in whole numbers."""

import csv
import io
import json

from router.json_values import JSON
from router.usage.statements import Statement, StatementLine

COLUMNS = ("used_in", "meter", "category", "quantity", "per", "price_kes", "amount_kes")


def to_csv(statement: Statement) -> str:
    """One row a line, then the total."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for line in statement.lines:
        rows.writerow(
            (
                f"{line.used_in:%Y-%m}",
                line.meter,
                line.category,
                line.quantity,
                line.per,
                to_shillings(line.cents),
                to_shillings(line.amount_cents),
            )
        )
    rows.writerow(("total", "", "", "", "", "", to_shillings(statement.total_cents)))
    return text.getvalue()


def to_json(statement: Statement) -> str:
    """Return one object; amounts in cents of a shilling."""
    told: dict[str, JSON] = {
        "vendor_id": str(statement.vendor_id),
        "month": f"{statement.month:%Y-%m}",
        "closed_at": None if statement.closed_at is None else statement.closed_at.isoformat(),
        "currency": "KES",
        "lines": [to_record(statement, line) for line in statement.lines],
        "total_cents": statement.total_cents,
    }
    return json.dumps(told, indent=2)


def to_record(statement: Statement, line: StatementLine) -> dict[str, JSON]:
    """Return a line in plain values; `adjustment` true: it came after its own month was closed."""
    return {
        "used_in": f"{line.used_in:%Y-%m}",
        "adjustment": line.used_in < statement.month,
        "meter": line.meter,
        "category": line.category,
        "quantity": line.quantity,
        "per": line.per,
        "cents": line.cents,
        "amount_cents": line.amount_cents,
    }


def to_shillings(cents: int) -> str:
    """Write cents as shillings: -1234 is "-12.34"."""
    return f"{'-' if cents < 0 else ''}{abs(cents) // 100}.{abs(cents) % 100:02}"
