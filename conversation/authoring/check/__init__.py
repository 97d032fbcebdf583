"""What can only be judged on whole flows. Each file looks for one family of problems."""

from collections.abc import Mapping

from conversation.authoring.check import conditions, words
from conversation.authoring.check.assigned import check_assigned
from conversation.authoring.check.consents import check_consents
from conversation.authoring.check.finding import Parts
from conversation.authoring.check.hygiene import check_hygiene
from conversation.authoring.check.languages import check_languages
from conversation.authoring.check.lengths import check_lengths
from conversation.authoring.check.private import check_files, check_notes
from conversation.authoring.check.reach import check_events, check_reach
from conversation.authoring.check.walk import check_walk
from conversation.authoring.check.window import check_window
from conversation.authoring.nodes import Node
from conversation.authoring.reading import Shared
from conversation.engine.flow import Ask, Bundle


def check_bundle(bundle: Bundle, shared: Shared, roots: Mapping[str, Node]) -> None:
    """Report every problem of a bundle that reads well. `roots` are its files as they are written."""
    problems = shared.problems
    parts = Parts(bundle)
    check_walk(bundle, parts.by_clock, problems)
    check_files(problems)
    check_events(bundle, problems)
    words.check_starts(bundle, problems)
    conditions.check_starts(bundle, problems)
    for flow in bundle.flows.values():
        check_reach(bundle, flow, parts, problems)
        words.check_words(bundle, flow, problems)
        conditions.check_conditions(bundle, flow, parts, problems)
        check_assigned(flow, problems)
        check_consents(bundle, flow, shared)
        check_lengths(bundle, flow, parts.of(flow.name, Ask), shared)
        check_notes(flow, parts, shared)
    check_languages(bundle, shared, roots)
    check_hygiene(bundle, parts, roots, problems)
    if not problems.errors:  # a way that should not be there makes silence look longer than it is
        check_window(bundle, parts.by_clock, problems)
