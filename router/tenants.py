"""The dedicated databases together: bringing each to the newest tables, whole or not at all."""

from collections.abc import Iterator
from dataclasses import dataclass

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy.exc import DBAPIError

from router import migrating
from router.databases import Databases, OpsTarget
from router.errors import Broken, Refused, Unavailable
from router.provisioning import is_on_server
from router.revisions import Which, connect, current, heads


@dataclass(frozen=True, kw_only=True)
class Migrated:
    """What happened to one database: `before` and `after` are revisions, None for a database without tables."""

    name: str
    before: str | None
    after: str | None
    error: str | None

    def __str__(self) -> str:
        """Tell it in a line."""
        if self.error:
            return f"{self.name}: FAILED, left at {self.before or 'nothing'}: {self.error}"
        moved = f"{self.before or 'nothing'} -> {self.after}"
        return f"{self.name}: already at {self.after}" if self.before == self.after else f"{self.name}: {moved}"


def migrate_all(databases: Databases, *, admin_url: str) -> Iterator[Migrated]:
    """Migrate every dedicated database, one transaction each; one that fails is left as it was, and the others go on.

    On the server of `admin_url` as that login, in the name of whoever owns the tables; elsewhere as the row's own login.
    """
    head = heads()[Which.OPS]
    for target in databases.ops_targets():
        if target.db_target is not None:
            yield _migrate(databases, target, admin_url, head)


def _migrate(databases: Databases, target: OpsTarget, admin_url: str, head: str) -> Migrated:
    before = None
    try:
        url = _owner_url(databases, target, admin_url)
        with connect(url) as conn:
            before = current(conn, Which.OPS)
        if before != head:
            migrating.upgrade(url, Which.OPS)
    except (Broken, Refused, Unavailable) as error:
        return Migrated(name=target.name, before=before, after=before, error=str(error))
    except (DBAPIError, psycopg.Error) as error:
        cause = error.orig if isinstance(error, DBAPIError) else error
        return Migrated(name=target.name, before=before, after=before, error=str(cause).partition("\n")[0])
    return Migrated(name=target.name, before=before, after=head, error=None)


def _owner_url(databases: Databases, target: OpsTarget, admin_url: str) -> str:
    """Log in as who may migrate: what a migration makes belongs to the owner of what is there."""
    own = databases.conninfo_of(target)
    if not is_on_server(admin_url, own):
        return own
    url = make_conninfo(admin_url, dbname=psycopg.conninfo.conninfo_to_dict(own)["dbname"])
    with connect(url) as conn:
        row = conn.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'alembic_version_ops'").fetchone()
    return url if row is None else make_conninfo(url, options=f"-c role={row['tableowner']}")
