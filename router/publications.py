"""Published flows: every bundle that was ever live, as files, and which one is live now. A rollback is a publication too."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from router import vendors
from router.databases import Databases
from router.errors import Unavailable
from router.json_values import JSON, to_jsonb
from router.work import unit_of_work

# Two who publish at once: the second finds a publication that it did not plan for.
LOCK: Final = "LOCK TABLE flow_publications IN SHARE ROW EXCLUSIVE MODE"
LATEST: Final = "SELECT max(id) AS id FROM flow_publications"
HISTORY: Final = "SELECT id, bundle_hash, published_by, published_at FROM flow_publications ORDER BY id"
FILES: Final = "SELECT files FROM flow_bundles WHERE hash = %s"
MIGRATIONS: Final = "SELECT migrations FROM flow_publications WHERE id = %s"
KEEP: Final = "INSERT INTO flow_bundles (hash, files) VALUES (%s, %s) ON CONFLICT (hash) DO NOTHING"
PUBLISH: Final = """
    INSERT INTO flow_publications (bundle_hash, migrations, published_by, published_at) VALUES (%s, %s, %s, %s) RETURNING id
    """
LIVE: Final = """
    SELECT snapshot ->> 'bundle' AS bundle, places, count(*) AS people
    FROM conversations, LATERAL (
      SELECT jsonb_agg(jsonb_build_array(frame -> 'flow', frame -> 'state') ORDER BY n) AS places
      FROM jsonb_array_elements(snapshot -> 'frames') WITH ORDINALITY AS frames (frame, n)
    ) AS standing
    WHERE vendor_id = %s AND flow IS NOT NULL GROUP BY 1, 2
    """

PINNED: Final = "SELECT DISTINCT snapshot ->> 'bundle' AS bundle FROM conversations WHERE vendor_id = %s AND flow IS NOT NULL"


@dataclass(frozen=True, kw_only=True)
class Publication:
    """One time that a bundle became the live one."""

    id: int
    bundle_hash: str
    published_by: str
    published_at: datetime


@dataclass(frozen=True, kw_only=True)
class Standing:
    """How many people of any vendor stand at these places (flow, state), the running flow last, on a bundle."""

    bundle_hash: str
    places: tuple[tuple[str, str], ...]
    people: int


def find_latest(databases: Databases) -> int | None:
    """The number of the newest publication; None before the first."""
    with databases.platform() as conn:
        row = conn.execute(LATEST).fetchone()
    return None if row is None else row["id"]


def list_publications(databases: Databases) -> list[Publication]:
    """All of them, the oldest first."""
    with databases.platform() as conn:
        return [Publication(**row) for row in conn.execute(HISTORY)]


def get_files(databases: Databases, bundle_hash: str) -> Mapping[str, bytes] | None:
    """The files of a bundle by shown path; None when it was never published."""
    with databases.platform() as conn:
        row = conn.execute(FILES, (bundle_hash,)).fetchone()
    return None if row is None else _to_bytes(row["files"])


def get_migrations(databases: Databases, publication_id: int) -> Mapping[str, bytes]:
    """The migration files that came with a publication."""
    with databases.platform() as conn:
        row = conn.execute(MIGRATIONS, (publication_id,)).fetchone()
    return _to_bytes(row["migrations"]) if row is not None else {}


def publish(
    databases: Databases,
    bundle_hash: str,
    files: Mapping[str, bytes],
    *,
    migrations: Mapping[str, bytes],
    after: int | None,
    by: str,
    now: datetime,
) -> int | None:
    """Make a bundle the live one; returns the publication's number, None when `after` is no longer the newest one."""
    with databases.platform() as conn:
        conn.execute(LOCK)
        row = conn.execute(LATEST).fetchone()
        if row is None or row["id"] != after:
            return None
        conn.execute(KEEP, (bundle_hash, to_jsonb(_to_text(files))))
        made = conn.execute(PUBLISH, (bundle_hash, to_jsonb(_to_text(migrations)), by, now)).fetchone()
    return None if made is None else int(made["id"])


def count_standing(databases: Databases) -> list[Standing]:
    """Where people stand in running flows, over all vendors."""
    people: dict[tuple[str, tuple[tuple[str, str], ...]], int] = {}
    for vendor_id in vendors.list_ids(databases):
        with unit_of_work(databases, vendor_id) as work:
            for row in work.conn.execute(LIVE, (vendor_id,)):
                key = (row["bundle"], _to_places(row["places"]))
                people[key] = people.get(key, 0) + row["people"]
    return [Standing(bundle_hash=bundle, places=places, people=count) for (bundle, places), count in sorted(people.items())]


def list_pinned(databases: Databases) -> set[str]:
    """The bundles that people are in the middle of; of a vendor whose database is down nothing is known."""
    found: set[str] = set()
    for vendor_id in vendors.list_ids(databases):
        try:
            with unit_of_work(databases, vendor_id) as work:
                found |= {row["bundle"] for row in work.conn.execute(PINNED, (vendor_id,))}
        except Unavailable:
            continue
    return found


def _to_places(places: Sequence[Sequence[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((flow, state) for flow, state in places)


def _to_text(files: Mapping[str, bytes]) -> dict[str, JSON]:
    return {name: data.decode() for name, data in files.items()}


def _to_bytes(files: Mapping[str, str]) -> dict[str, bytes]:
    return {name: text.encode() for name, text in files.items()}
