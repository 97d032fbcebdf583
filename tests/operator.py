"""What psql is to an operator: the databases as their owner, whom no wall binds."""

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import Connection
from psycopg.rows import DictRow

from router.databases import SHARED, Databases, OpsTarget


class _AsOwner(Databases):
    def _step_down(self, conn: Connection[DictRow], target: OpsTarget | None) -> None:
        pass


@contextmanager
def operating(databases: Databases, *, ops: bool = False) -> Iterator[Connection[DictRow]]:
    """Give one transaction as the owner of the platform database, or of the shared ops database. Errors as for Databases."""
    owner = _AsOwner(
        platform_url=databases._platform_url,
        ops_url=databases._ops_url,
        resolve_secret=databases._resolve_secret,
        sealer=databases.sealer,
    )
    try:
        with owner.across(SHARED) if ops else owner.platform() as conn:
            yield conn
    finally:
        owner.close()
