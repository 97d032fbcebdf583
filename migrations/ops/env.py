"""Alembic's entry for the ops tables; the connection comes from router.migrating."""

from alembic import context

from router.migrating import Which, run_in

run_in(context, Which.OPS)
