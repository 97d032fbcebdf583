"""What can only be judged on whole flows. Each file looks for one family of problems."""

from conversation.authoring.check.assigned import check_assigned
from conversation.authoring.check.consents import check_consents
from conversation.authoring.check.reach import check_events, check_reach
from conversation.authoring.check.walk import check_walk
from conversation.authoring.check.words import check_words
from conversation.authoring.reading import Shared
from conversation.engine.flow import Bundle


def check_bundle(bundle: Bundle, shared: Shared) -> None:
    """Report every problem of a bundle that reads well."""
    problems = shared.problems
    check_events(bundle, problems)
    for flow in bundle.flows.values():
        check_reach(bundle, flow, problems)
        check_words(flow, problems)
        check_assigned(flow, problems)
        check_consents(bundle, flow, shared)
    check_walk(bundle, problems)
