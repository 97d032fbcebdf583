"""Put a catalogue file into the platform database: every line of it, or none."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from psycopg import Rollback

from router import capabilities
from router.catalog_file import Entry, ReadLine, Wrong, read_file
from router.databases import Databases
from router.ids import VendorId
from router.vendors import get_vendor

KNOWN: Final = """
    SELECT sku, name, short_name, unit, price, stock, category, aliases, active, position FROM catalog_items
    WHERE vendor_id = %s AND sku = ANY(%s) ORDER BY id FOR UPDATE
    """
INSERT: Final = """
    INSERT INTO catalog_items (vendor_id, sku, name, short_name, unit, price, stock, category, aliases, active, position)
    VALUES (%(vendor_id)s, %(sku)s, %(name)s, %(short_name)s, %(unit)s, %(price)s, %(stock)s, %(category)s, %(aliases)s,
      %(active)s,
      coalesce(%(position)s, (SELECT coalesce(max(position), 0) + 1 FROM catalog_items WHERE vendor_id = %(vendor_id)s)))
    """
UPDATE: Final = """
    UPDATE catalog_items SET name = %(name)s, short_name = %(short_name)s, unit = %(unit)s, price = %(price)s,
      category = %(category)s, aliases = %(aliases)s, active = %(active)s, position = coalesce(%(position)s, position),
      updated_at = now()
    WHERE vendor_id = %(vendor_id)s AND sku = %(sku)s
    """
COUNT: Final = "UPDATE catalog_items SET stock = %(stock)s, updated_at = now() WHERE vendor_id = %(vendor_id)s AND sku = %(sku)s"


class Outcome(StrEnum):
    """What came of one line."""

    ADDED = "added"
    CHANGED = "changed"
    SAME = "same"
    WRONG = "wrong"


@dataclass(frozen=True, kw_only=True)
class LineReport:
    """One line of the file, by its number."""

    line: int
    sku: str
    outcome: Outcome
    wrong: tuple[Wrong, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Report:
    """`written` False: nothing of the file is in the catalogue."""

    written: bool
    lines: tuple[LineReport, ...]

    def count(self, outcome: Outcome) -> int:
        """Tell how many lines ended so."""
        return sum(line.outcome is outcome for line in self.lines)


def import_file(databases: Databases, vendor_id: VendorId, content: bytes, *, dry_run: bool = False) -> Report:
    """Take in the whole file in one transaction, or nothing when a line is wrong. Items it does not name stay as they are.

    Raises Refused: unknown_vendor, bad_file.
    """
    get_vendor(databases, vendor_id)
    return write_lines(databases, vendor_id, read_file(content), dry_run=dry_run)


def write_lines(databases: Databases, vendor_id: VendorId, read: Sequence[ReadLine], *, dry_run: bool = False) -> Report:
    """Take in lines that were read, all or none. Raises Refused("capability_off")."""
    capabilities.require(databases, vendor_id, capabilities.CATALOG)
    bad = any(line.wrong for line in read)
    reports: list[LineReport] = []
    with databases.platform(vendor_id) as conn:
        skus = [line.sku for line in read]
        known = {row["sku"]: row for row in conn.execute(KNOWN, (vendor_id, skus))}
        for line in read:
            if line.entry is None:
                reports.append(LineReport(line=line.line, sku=line.sku, outcome=Outcome.WRONG, wrong=line.wrong))
                continue
            values = _values(line.entry) | {"vendor_id": vendor_id}
            before = known.get(line.sku)
            counts = line.entry.stock is not None or not line.entry.counted
            if before is None:
                outcome = Outcome.ADDED
                conn.execute(INSERT, values)
            elif all(values[name] in (before[name], None) for name in before if name != "stock") and not (
                counts and (before["stock"] is not None or values["stock"] is not None)
            ):
                outcome = Outcome.SAME
            else:
                outcome = Outcome.CHANGED
                conn.execute(UPDATE, values)
                if counts:
                    conn.execute(COUNT, values)
            reports.append(LineReport(line=line.line, sku=line.sku, outcome=outcome))
        if bad or dry_run:
            raise Rollback
    databases.cache.forget()
    return Report(written=not bad and not dry_run, lines=tuple(reports))


def _values(entry: Entry) -> dict[str, object]:
    return {
        **entry.model_dump(exclude={"counted"}),
        "short_name": entry.short_name or entry.name,
        "aliases": list(entry.aliases),
    }


def list_wrong(report: Report) -> Sequence[str]:
    """Say each mistake as one sentence for people."""
    return [
        f"line {line.line}{f', {each.column}' if each.column else ''}: {each.message}"
        for line in report.lines
        for each in line.wrong
    ]
