"""As whom we speak to PostgreSQL: web and workers as a role that owns nothing, so that policies bind every statement."""

from contextlib import suppress
from typing import Final

import psycopg
from psycopg import Connection
from psycopg.rows import DictRow

from router.errors import Broken

RUNTIME_ROLE: Final = "soko_runtime"

# Run after every migration, by the owner of the tables: makes the role where that is allowed, and opens today's tables to it.
# Roles belong to the whole server, so that migrations of two databases may make it at the same moment.
GRANTS: Final = """
    DO $$
    DECLARE made boolean := EXISTS (SELECT FROM pg_roles WHERE rolname = 'soko_runtime');
    BEGIN
      IF NOT made THEN
        BEGIN
          CREATE ROLE soko_runtime LOGIN;
          GRANT soko_runtime TO CURRENT_USER;
        EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
          made := EXISTS (SELECT FROM pg_roles WHERE rolname = 'soko_runtime');
        END;
        made := EXISTS (SELECT FROM pg_roles WHERE rolname = 'soko_runtime');
      END IF;
      IF made THEN
        GRANT USAGE ON SCHEMA public TO soko_runtime;
        GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO soko_runtime;
        GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO soko_runtime;
        EXECUTE (SELECT string_agg(format('REVOKE INSERT, UPDATE, DELETE ON %s FROM soko_runtime', oid::regclass), '; ')
                 FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND relname LIKE 'alembic%');
      END IF;
    END $$
    """
_TAKE_ROLE: Final = "SET ROLE soko_runtime"
# Both the login and the role it took: whether policies do not bind it at all, and whether it owns tables here.
_WHO: Final = """
    SELECT r.rolname AS name, r.rolname = current_user AS acting, r.rolsuper OR r.rolbypassrls AS unbound,
           EXISTS (SELECT FROM pg_class WHERE relowner = r.oid AND relnamespace = 'public'::regnamespace) AS owner
      FROM pg_roles r WHERE r.rolname IN (current_user, session_user) ORDER BY acting DESC
    """
_MISSING: Final = f'role "{RUNTIME_ROLE}" does not exist'


def is_missing_role(error: psycopg.OperationalError) -> bool:
    """Tell whether a login failed because nobody made the role yet."""
    return _MISSING in str(error)


def step_down(conn: Connection[DictRow], *, name: str, own_database: bool, strict: bool) -> None:
    """Make an open connection one that policies bind, once for its life. `name` is the database's, for the message.

    The login takes the role when it may. `own_database`: a vendor's dedicated database may be owned by its login, because
    forced policies bind an owner too. `strict`: the login itself must not be able to take its power back.

    Raises Broken when the session would see every vendor's rows.
    """
    if conn.info.user != RUNTIME_ROLE:
        # Not a member, or there is no such role: then what the login itself may do decides.
        with suppress(psycopg.errors.InsufficientPrivilege, psycopg.errors.InvalidParameterValue):
            conn.execute(_TAKE_ROLE)
    for who in conn.execute(_WHO).fetchall():
        if not who["acting"] and not strict:
            continue
        if who["unbound"] or (who["owner"] and not own_database):
            why = "is bound by no policy" if who["unbound"] else "owns its tables"
            message = (
                f"the {name} database lets us in as {who['name']}, who {why}: one mistake would show every vendor's rows."
                f" Web and workers log in as {RUNTIME_ROLE}, which `soko migrate` makes where it may. Where it may not, an"
                f" administrator runs CREATE ROLE {RUNTIME_ROLE} LOGIN, and the owner `soko migrate` once more. Then give it a"
                f" password, and put it into the URL: docs/decisions/0100-two-walls.md"
            )
            raise Broken(message)
