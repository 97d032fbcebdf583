"""R4: products whose names a customer cannot say without being misunderstood. Needs the vendor's catalogue."""

from collections.abc import Iterator, Sequence
from itertools import takewhile
from typing import cast

from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.authoring.problems import Problems, Source
from conversation.engine.flow import At, Bundle
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.match import is_consent_word
from conversation.engine.normalise import normalise
from conversation.engine.tokens import to_tokens
from conversation.engine.values import Record


def check_products(bundle: Bundle, items: Sequence[tuple[Record, At]], problems: Problems) -> None:
    """Report names that are words of the flows, and warn of names that are nearly another product's.

    Items are {"id", "name", "short_name"?, "unit"?, "aliases"?: [...]}, each with its place.
    """
    words = dict(_words(bundle))
    lexicon = build_lexicon([item for item, _ in items])
    for item, at in items:
        for name in _names(item):
            here = problems.find(at, name)
            consent = next((each for each in bundle.catalogue.consents.values() if is_consent_word(name, each.words)), None)
            if consent is not None:
                problems.add("R4", here, f"`{name}` is the consent word {consent.words[0]}: no product may be called that")
            elif normalise(name) in words:
                problems.add("R4", here, f"`{name}` already means {words[normalise(name)]}: nobody could ask for this product")
            else:
                _check_near(lexicon, item, name, here, problems)


def read_products(tree: tuple[Source, Node], problems: Problems) -> list[tuple[Record, At]]:
    """Read a list of {name, short_name, aliases} as items with their places."""
    _, root = tree
    items: list[tuple[Record, At]] = []
    for node in root.items if isinstance(root, Items) else ():
        name = node.get("name") if isinstance(node, Map) else None
        if not isinstance(node, Map) or not isinstance(name, Scalar):
            problems.add("Y2", node.at, "a product is written {name: …, short_name: …, aliases: […]}")
            continue
        short, more = node.get("short_name"), node.get("aliases")
        aliases = [alias.text for alias in more.items if isinstance(alias, Scalar)] if isinstance(more, Items) else []
        item: Record = {
            "id": str(len(items)),
            "name": name.text,
            "short_name": short.text if isinstance(short, Scalar) else "",
            "aliases": [*aliases],
        }
        items.append((item, node.at))
    if not isinstance(root, Items):
        problems.add("Y2", root.at, "products are a list")
    return items


def _words(bundle: Bundle) -> Iterator[tuple[str, str]]:
    for flow in bundle.flows.values():
        for state in flow.states.values():
            for reply in state.replies:
                yield from ((word, f"the reply `{reply.name}` in `{state.name}`") for word in reply.words)
            for command in state.commands:
                yield from ((word, f"the command `{command.name}`") for word in command.words)


def _names(item: Record) -> list[str]:
    aliases = cast("Sequence[str]", item.get("aliases") or ())
    return list(dict.fromkeys(str(name) for name in (item["name"], item.get("short_name"), *aliases) if name))


def _check_near(lexicon: Lexicon, item: Record, name: str, at: At, problems: Problems) -> None:
    """Sizes of one product are no cause to warn: they are told apart by their size."""
    tokens = to_tokens(name)
    words = " ".join(token for token in tokens if token.isalpha())
    sizes = lexicon.find(words)
    near = {*lexicon.find(" ".join(tokens)), *(other for other in lexicon.near(words) if other not in sizes)}
    earlier = takewhile(lambda other: other != item["id"], lexicon.titles)  # each pair is told once
    others = [lexicon.titles[other] for other in earlier if other in near]
    if others:
        hint = "customers who type it, or misspell it, will be asked which one they mean"
        problems.warn("R4", at, f"`{name}` is nearly {' and '.join(others)}", hint)
