"""Alembic's entry for the platform tables; the connection comes from router.migrating."""

from router.migrating import run_in_context
from router.revisions import Which

run_in_context(Which.PLATFORM)
