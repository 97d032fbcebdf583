"""P3 and L2: a question that takes a consent shows what the customer agrees to, and the word, in every language."""

import re

from conversation.authoring.expression_types import shows
from conversation.authoring.reading import Shared
from conversation.engine.flow import Bundle, Flow


def check_consents(bundle: Bundle, flow: Flow, shared: Shared) -> None:
    """Report consent questions whose text leaves something out."""
    for state in flow.states.values():
        for reply in state.replies:
            if reply.consent is None or state.ask is None:
                continue
            spec = bundle.catalogue.consents[reply.consent]
            for language, template in shared.parsed[state.ask.text.place].items():
                missing = [path for path in spec.must_show if not shows(template, path)]
                where = "" if language == bundle.language else f" in {language}"
                if missing:
                    shared.problems.add(
                        "P3",
                        state.ask.text.at,
                        f"a question for `consent: {spec.name}`; its text{where} does not always show {' and '.join(missing)}",
                        "write it into the text, outside of any {% if %}",
                        notes=(f"why: {spec.means}.",),
                    )
                source = state.ask.text.templates[language].source
                if not any(re.search(rf"\b{re.escape(word)}\b", source) for word in spec.words):
                    shared.problems.add(
                        "L2", state.ask.text.at, f"the text{where} never says the word {spec.words[0]}, which is what it asks for"
                    )
