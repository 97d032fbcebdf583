"""Alembic's entry for the ops tables; the connection comes from router.migrating."""

from router.migrating import Which, run_in_context

run_in_context(Which.OPS)
