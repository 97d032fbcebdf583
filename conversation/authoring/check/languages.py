"""L1 and L2: what one language says and another does not."""

import re
from collections.abc import Mapping
from typing import Final

from conversation.authoring.check.finding import entries, written_paths
from conversation.authoring.nodes import Map, Node
from conversation.authoring.reading import Shared, fingerprint
from conversation.engine.flow import At, Bundle, Text

_VALUES: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)


def check_languages(bundle: Bundle, shared: Shared, roots: Mapping[str, Node]) -> None:
    """Report translations that are missing or lose a value, and commands that a language has no word for."""
    for language in bundle.languages[1:]:
        _check_missing(bundle, shared, language)
    must_show = _must_show(bundle)
    for place, text in shared.texts.items():
        for language in text.templates:
            if language != text.base:
                _check_values(shared, text, language, must_show.get(place, frozenset()))
    for root in roots.values():
        _check_words(root, bundle.languages, shared)


def _check_missing(bundle: Bundle, shared: Shared, language: str) -> None:
    lacking = [
        text for place, text in shared.texts.items() if language not in shared.translations.get(place, {}) and _needs(text)
    ]
    if not any(language in versions for versions in shared.translations.values()):
        if lacking:
            at = At(file=bundle.trouble.at.file, line=1, column=1)
            message = f"nothing is translated to `{language}`: its customers will read `{bundle.language}`"
            shared.problems.warn(
                "L1", shared.problems.find(at, language), message, f"write text/{language}.yaml, or drop it here"
            )
        return
    for text in lacking:
        _, _, place = text.place.partition(".")
        made_from = fingerprint(text.templates[bundle.language].source)
        fix = f'add to text/{language}.yaml: {place}: {{from: "{made_from}", text: …}}'
        shared.problems.warn("L1", text.at, f"this text has no translation to `{language}`", fix)


def _needs(text: Text) -> bool:
    """People who take over read the base language, and numbers and names are the same in all of them."""
    return ".handoff.note" not in text.place and any(map(str.isalpha, _VALUES.sub("", text.templates[text.base].source)))


def _must_show(bundle: Bundle) -> dict[str, frozenset[str]]:
    shown: dict[str, frozenset[str]] = {}
    for flow in bundle.flows.values():
        for state in flow.states.values():
            for reply in state.replies:
                if reply.consent is not None and state.ask is not None:
                    shown[state.ask.text.place] = frozenset(bundle.catalogue.consents[reply.consent].must_show)
    return shown


def _check_values(shared: Shared, text: Text, language: str, told_by_l2: frozenset[str]) -> None:
    versions = shared.parsed[text.place]
    base, other = written_paths(versions[text.base]), written_paths(versions[language])
    lost = sorted(base.keys() - other.keys() - told_by_l2)
    at = shared.translations[text.place][language].node.at
    if lost:
        message = f"the translation of `{text.place}` does not say {' and '.join(lost)}"
        shared.problems.add("L1", at, message, f"write {{{{ {lost[0]} }}}} into it")
        return
    more = sorted(other.keys() - base.keys() - told_by_l2)
    if more:
        message = f"the translation of `{text.place}` says {' and '.join(more)}, which the original does not"
        shared.problems.add("L1", shared.problems.find(at, more[0]), message)


def _check_words(root: Node, languages: tuple[str, ...], shared: Shared) -> None:
    for key, value in entries(root):
        if key.text == "words" and isinstance(value, Map):
            lacking = [language for language in languages if value.get(language) is None]
            if lacking:
                hint = "words of all languages are understood by everybody, but each needs its own"
                shared.problems.warn("L2", key.at, f"there is no word for this in {' and '.join(lacking)}", hint)
