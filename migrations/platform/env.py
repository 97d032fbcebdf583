"""Alembic's entry for the platform tables; the connection comes from router.migrating."""

from alembic import context

from router.migrating import Which, run_in

run_in(context, Which.PLATFORM)
