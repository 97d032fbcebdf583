"""Publishing and rolling back: check, compare with the live conversations, and then make it live."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from conversation.engine.flow import Bundle
from conversation.publishing.bundles import build, build_kept
from conversation.publishing.plan import Plan, make_plan
from conversation.publishing.routes import Route, Routes
from router import publications
from router.databases import Databases
from router.errors import Refused


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """A checked bundle with what it would do to whom. `after` is the publication that it was compared with."""

    bundle: Bundle
    files: Mapping[str, bytes]
    migrations: Mapping[str, bytes]
    plan: Plan
    after: int | None
    is_live: bool


def propose(
    databases: Databases, files: Mapping[str, bytes], migrations: Mapping[str, bytes], *, draft: Bundle | None = None
) -> Proposal:
    """Compare a bundle with where people stand. Raises FlowErrors when the check refuses it or a migration, Unavailable.

    `draft` is what a milder check made of the files, in development.
    """
    bundle = draft or build(files)
    history = publications.list_publications(databases)
    standing = publications.count_standing(databases)
    routes = Routes(databases, history, bundle, migrations)
    ways: dict[str, Route] = {}
    for old_hash in {*(each.bundle_hash for each in standing), *(each.bundle_hash for each in history[-1:])}:
        kept = publications.get_files(databases, old_hash)
        if kept is not None:
            ways[old_hash] = routes.leave(build_kept(kept))
    live_hash = history[-1].bundle_hash if history else None
    return Proposal(
        bundle=bundle,
        files=files,
        migrations=migrations,
        plan=make_plan(standing, ways, new=bundle.hash),
        after=history[-1].id if history else None,
        is_live=live_hash == bundle.hash,
    )


def publish(databases: Databases, proposal: Proposal, *, by: str, now: datetime) -> int:
    """Make the proposal live; returns the publication's number.

    Raises Refused("stranded") while somebody would be, Refused("published_meanwhile") when the proposal is out of date
    """
    blocked = proposal.plan.blocked
    if blocked:
        people = sum(row.people for row in blocked)
        who = f"{people} {'person' if people == 1 else 'people'}"
        raise Refused("stranded", f"{who} would be stranded: {blocked[0].place} is {blocked[0].what}")
    number = publications.publish(
        databases, proposal.bundle.hash, proposal.files, migrations=proposal.migrations, after=proposal.after, by=by, now=now
    )
    if number is None:
        raise Refused("published_meanwhile", "somebody published meanwhile: look at the plan again")
    return number
