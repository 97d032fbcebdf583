"""P3 and L2: a question that takes a consent shows what the customer agrees to, and the word, in every language."""

import re

from conversation.authoring.expression_types import shows
from conversation.authoring.reading import Shared
from conversation.engine.catalogue import ConsentSpec
from conversation.engine.flow import At, Bundle, Flow, Text


def check_consents(bundle: Bundle, flow: Flow, shared: Shared) -> None:
    """Report consent questions whose text leaves something out: in a translation, only what the original has."""
    for state in flow.states.values():
        for reply in state.replies:
            if reply.consent is not None and state.ask is not None:
                spec, text = bundle.catalogue.consents[reply.consent], state.ask.text
                lacking = _lacking(spec, text, text.base, shared)
                for language in shared.parsed[text.place]:
                    known = lacking if language != text.base else frozenset()
                    _report(spec, text, language, _lacking(spec, text, language, shared) - known, shared)


def _lacking(spec: ConsentSpec, text: Text, language: str, shared: Shared) -> frozenset[str]:
    """What this version does not always show, and the consent's word if it is never said."""
    missing = {path for path in spec.must_show if not shows(shared.parsed[text.place][language], path)}
    said = any(re.search(rf"\b{re.escape(word)}\b", text.templates[language].source) for word in spec.words)
    return frozenset(missing | (set() if said else {spec.words[0]}))


def _report(spec: ConsentSpec, text: Text, language: str, lacking: frozenset[str], shared: Shared) -> None:
    missing = [path for path in spec.must_show if path in lacking]
    at = _place(text, language, shared)
    if missing:
        shared.problems.add(
            "P3" if language == text.base else "L2",
            at,
            f"a question for `consent: {spec.name}`; its text does not always show {' and '.join(missing)}",
            "write it into the text, outside of any {% if %}",
            notes=(f"why: {spec.means}.",),
        )
    elif lacking:
        shared.problems.add("L2", at, f"this text never says the word {spec.words[0]}, which is what it asks for")


def _place(text: Text, language: str, shared: Shared) -> At:
    return text.at if language == text.base else shared.translations[text.place][language].node.at
