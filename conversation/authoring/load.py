"""From a folder of YAML to a bundle: read, checked, compiled once. Whatever is wrong is refused, and nothing is ignored."""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from conversation.authoring.check import check_bundle
from conversation.authoring.check.products import check_products, read_products
from conversation.authoring.check.tests import check_tests
from conversation.authoring.expression_types import Scope
from conversation.authoring.flows import FlowReader, read_signature
from conversation.authoring.nodes import Map, Node, Scalar, parse_yaml, read_source
from conversation.authoring.parts import Signature
from conversation.authoring.problems import FlowErrors, Problem, Problems, Source, suggest
from conversation.authoring.reading import Reader, Shared, Translation
from conversation.engine.catalogue import Catalogue
from conversation.engine.expressions import make_environment
from conversation.engine.flow import At, Bundle, Flow, Limits, Publishing, Text
from conversation.engine.lexicon import Lexicon, build_lexicon
from conversation.engine.normalise import normalise
from conversation.engine.values import JSON, Record

TEXTS: Final = ("trouble", "no_words", "too_fast")
APP: Final = ("app", "languages", "timezone", "channel", "flows", *TEXTS, "limits", "intents", "places", "publish")
LIMITS: Final = ("steps_per_turn", "messages_per_turn", "expression_cost")
TROUBLE: Final = "app.trouble"
NO_WORDS: Final = "app.no_words"
TOO_FAST: Final = "app.too_fast"
HASH_DIGITS: Final = 12
BUILT_KEPT: Final = 8
DRAFT: Final = frozenset({"L1"})  # what flows that somebody is at work on may lack: their translations may lag behind
NOTHING: Final[Mapping[str, bytes]] = {}
_VENDOR: Final = re.compile(r"[a-z0-9']+(-[a-z0-9']+)*")
_NAMED: Final = re.compile(rb"^flow:[ ]*(\w+)", re.MULTILINE)


def load_bundle(folder: Path, catalogue: Catalogue) -> Bundle:
    """Load flows/app.yaml, the flows it lists, and flows/text/. Raises FlowErrors with every problem found."""
    return build_bundle(_read(folder), catalogue, folder=folder.name)


def load_draft(folder: Path, catalogue: Catalogue, *, instead: Path | None = None) -> Bundle:
    """Load flows that somebody is at work on. Raises FlowErrors.

    `instead` is a flow file, from anywhere, that stands for the flow of the name that it gives.
    """
    files = _read(folder)
    if instead is not None:
        data = instead.read_bytes()
        files[f"{folder.name}/{_name_in(data) or instead.stem}.yaml"] = data
    return _build(files, catalogue, folder.name, Problems(tolerated=DRAFT))


def _read(folder: Path) -> dict[str, bytes]:
    return {f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _files(folder)}


def _name_in(data: bytes) -> str | None:
    found = _NAMED.search(data)
    return found[1].decode() if found else None


def read_published(folder: Path) -> tuple[dict[str, bytes], dict[str, bytes]]:
    """Read a folder's bundle and its migrations by the names that publishing keeps them under, whatever the folder is called.

    Raises FlowErrors when it has no app.yaml.
    """
    files = {f"flows/{path.relative_to(folder).as_posix()}": path.read_bytes() for path in _files(folder)}
    return files, read_migration_files(folder)


def read_migration_files(folder: Path) -> dict[str, bytes]:
    """Read a folder's migrations, which belong to a publication and not to a bundle."""
    return {f"flows/migrations/{path.name}": path.read_bytes() for path in sorted((folder / "migrations").glob("*.yaml"))}


@dataclass(frozen=True, kw_only=True)
class Checked:
    """What `soko flow check` found. `bundle` is None when something in `problems` is an error of the flows."""

    bundle: Bundle | None
    problems: tuple[Problem, ...]


def check_folder(
    folder: Path, catalogue: Catalogue, products: Path | None = None, *, unsaved: Mapping[str, bytes] = NOTHING
) -> Checked:
    """Check a folder with everything in it, its tests and a list of the vendor's products as well.

    `unsaved` is what an editor shows of files that are there, by shown path.
    """
    try:
        files = _read(folder)
    except FlowErrors as errors:
        return Checked(bundle=None, problems=errors.problems)
    tests = {
        f"{folder.name}/{path.relative_to(folder).as_posix()}": path.read_bytes()
        for path in (folder / "tests").glob("*.test.yaml")
    }
    for each in (files, tests):
        each.update({name: data for name, data in unsaved.items() if name in each})
    listed = {products.name: products.read_bytes()} if products is not None else {}
    return check_files(files, catalogue, folder=folder.name, tests=tests, products=listed)


def check_files(
    files: Mapping[str, bytes],
    catalogue: Catalogue,
    *,
    folder: str = "flows",
    tests: Mapping[str, bytes] = NOTHING,
    products: Mapping[str, bytes] = NOTHING,
    tolerated: frozenset[str] = frozenset(),
) -> Checked:
    """The same for file contents by shown path. `products` holds YAML lists of {name, short_name, aliases}."""
    problems = Problems(tolerated=tolerated)
    try:
        bundle = _build(files, catalogue, folder, problems)
        for file, data in products.items():
            check_products(bundle, read_products(parse_yaml(file, data, problems), problems), problems)
        sources = [read_source(file, data) for file, data in sorted(tests.items()) if data]
    except FlowErrors as errors:
        return Checked(bundle=None, problems=errors.problems)
    for source in sources:
        problems.know(source)
    check_tests(sources, problems)
    return Checked(bundle=bundle, problems=problems.all)


def _files(folder: Path) -> list[Path]:
    if not (folder / "app.yaml").is_file():
        at = At(file=f"{folder.name}/app.yaml", line=1, column=1)
        raise FlowErrors([Problem(code="Y1", message="there is no app.yaml in this folder", at=at)])
    found = sorted([*folder.glob("*.yaml"), *(folder / "text").glob("*.yaml")])
    strays = sorted([*folder.glob("*.yml"), *(folder / "text").glob("*.yml")])
    if strays:
        raise FlowErrors(
            [Problem(code="Y2", message="flows end in .yaml: rename this file", at=_start_of(path, folder)) for path in strays]
        )
    return found


def _start_of(path: Path, folder: Path) -> At:
    return At(file=f"{folder.name}/{path.relative_to(folder).as_posix()}", line=1, column=1)


def build_bundle(files: Mapping[str, bytes], catalogue: Catalogue, *, folder: str = "flows") -> Bundle:
    """Build a bundle from file contents by shown path ("flows/shop.yaml"), one content once a process. Raises FlowErrors."""
    return _built(tuple(sorted(files.items())), catalogue, folder)


@lru_cache(maxsize=BUILT_KEPT)
def _built(files: tuple[tuple[str, bytes], ...], catalogue: Catalogue, folder: str) -> Bundle:
    return _build(dict(files), catalogue, folder, Problems())


def build_published(files: Mapping[str, bytes], catalogue: Catalogue, *, folder: str = "flows") -> Bundle:
    """Build what passed the check of another program when it was published. Raises FlowErrors when nothing can run it."""
    return _build(files, catalogue, folder, Problems(tolerated=frozenset({"L1", "C6"})), judged=False)


def build_unchecked(files: Mapping[str, bytes], catalogue: Catalogue, *, folder: str = "flows") -> Bundle:
    """Build what reads well without judging it as a whole: to show that the run-time's own guards hold. Raises FlowErrors."""
    return _build(files, catalogue, folder, Problems(), judged=False)


def _build(files: Mapping[str, bytes], catalogue: Catalogue, folder: str, problems: Problems, *, judged: bool = True) -> Bundle:
    trees = {file: parse_yaml(file, data, problems) for file, data in sorted(files.items())}
    app = _App(trees[f"{folder}/app.yaml"], problems)
    translations = _translations(trees, app.languages, folder, problems)
    shared = Shared(
        catalogue=catalogue,
        environment=make_environment({name: function.run for name, function in catalogue.functions.items()}),
        problems=problems,
        languages=app.languages,
        translations=translations,
        intents=app.intents,
    )
    trouble, no_words, too_fast = app.trouble(shared), app.plain(shared, NO_WORDS), app.plain(shared, TOO_FAST)
    flows = _flows(trees, app, shared, folder)
    problems.stop_if_any()
    _check_translations(shared)
    problems.stop_if_any()
    if trouble is None or app.zone is None:
        raise FlowErrors([Problem(code="Y2", message="app.yaml is not complete", at=app.root.at)])
    bundle = Bundle(
        hash=_hash({file.removeprefix(f"{folder}/"): data for file, data in files.items()}),
        language=app.languages[0],
        languages=app.languages,
        timezone=app.zone,
        flows=flows,
        catalogue=catalogue,
        limits=app.limits,
        trouble=trouble,
        texts=dict(shared.texts),
        no_words=no_words,
        too_fast=too_fast,
        places=app.places,
        publishing=app.publishing(flows),
    )
    problems.stop_if_any()
    if judged:
        check_bundle(bundle, shared, {file: root for file, (_, root) in trees.items()})
    problems.stop_if_any()
    return bundle


def _hash(files: Mapping[str, bytes]) -> str:
    """Name the content: line ends and trailing blanks do not matter, file names in the folder and everything else do."""
    digest = hashlib.sha256()
    for file, data in sorted(files.items()):
        lines = [line.rstrip() for line in data.decode("utf-8").splitlines()]
        digest.update(f"flows/{file}\n{len(lines)}\n".encode())
        digest.update("\n".join(lines).encode())
    return digest.hexdigest()[:HASH_DIGITS]


class _App:
    """flows/app.yaml: what is true for every flow."""

    def __init__(self, tree: tuple[Source, Node], problems: Problems) -> None:
        self.source, root = tree
        self.problems = problems
        self.read = Reader(_nothing_shared(problems), self.source)
        found = self.read.map(root, "app.yaml", APP)
        self.root = found or Map(entries=(), at=root.at)
        self.read.word(self.read.need(self.root, "app", "app.yaml"), "the app's name")
        self.languages = self._languages()
        self.zone = self._zone()
        self.limits = self._limits()
        self.names = tuple(
            word for item in self.read.items(self.read.need(self.root, "flows", "app.yaml"), "`flows`")
            if (word := self.read.word(item, "a flow's name")) is not None
        )  # fmt: skip
        given = self.read.items(self.root.get("intents"), "`intents`")
        self.intents = tuple(word.text for item in given if (word := self.read.word(item, "an intent")) is not None)
        self.places = self._places()
        self.read.name(self.read.need(self.root, "channel", "app.yaml"), "channel", ("whatsapp",))

    def _languages(self) -> tuple[str, ...]:
        found = self.read.map(self.read.need(self.root, "languages", "app.yaml"), "`languages`", ("base", "also"))
        base = self.read.word(self.read.need(found, "base", "`languages`"), "the base language") if found else None
        also = [self.read.word(item, "a language") for item in self.read.items(found.get("also") if found else None, "`also`")]
        return ((base.text if base else "en"), *(word.text for word in also if word is not None))

    def _places(self) -> Lexicon | None:
        """`places: {town: [Town, CBD, mjini]}`: what customers call each; the first is its name."""
        found = self.read.map(self.root.get("places"), "`places`")
        places: list[Record] = []
        for key, value in found.entries if found else ():
            called = [word.text for item in self.read.items(value, "a place") if (word := self.read.word(item, "a name"))]
            if not called or not all(map(normalise, called)):
                self.read.add("Y2", value, f"`{key.text}` needs what customers call it", "e.g. [Town, CBD, mjini]")
            else:
                places.append({"id": key.text, "name": called[0], "aliases": list[JSON](called[1:])})
        return build_lexicon((), places).places

    def _zone(self) -> ZoneInfo | None:
        word = self.read.word(self.read.need(self.root, "timezone", "app.yaml"), "the time zone")
        try:
            return ZoneInfo(word.text) if word else None
        except (ValueError, OSError, KeyError):
            if word:
                self.read.add("Y2", word, f"there is no time zone `{word.text}`", "e.g. Africa/Nairobi")
            return None

    def _limits(self) -> Limits:
        found = self.read.map(self.root.get("limits"), "`limits`", LIMITS) if self.root.get("limits") is not None else None
        if found is None:
            return Limits()
        usual = Limits()
        return Limits(
            states=self.read.number(found.get("steps_per_turn"), "`steps_per_turn`", least=1, most=200) or usual.states,
            messages=self.read.number(found.get("messages_per_turn"), "`messages_per_turn`", least=1, most=10) or usual.messages,
            cost=self.read.number(found.get("expression_cost"), "`expression_cost`", least=100, most=100_000) or usual.cost,
        )

    def publishing(self, flows: Mapping[str, Flow]) -> Publishing:
        """`publish: {pinned: [shop.pay], old_versions_live: 48h}`."""
        found = self.read.map(self.root.get("publish"), "`publish`", ("pinned", "old_versions_live"))
        if found is None:
            return Publishing()
        places = {f"{flow.name}.{state}": (flow.name, state) for flow in flows.values() for state in flow.states}
        named = [self.read.name(item, "state", places, "T1") for item in self.read.items(found.get("pinned"), "`pinned`")]
        seconds = self.read.duration(found.get("old_versions_live"), "`old_versions_live`")
        return Publishing(
            pinned=frozenset(places[name] for name in named if name is not None),
            old_versions_live=seconds or Publishing().old_versions_live,
        )

    def trouble(self, shared: Shared) -> Text | None:
        """The text for when a turn failed on our side. It may use no names, so that it cannot fail too."""
        node = self.read.need(self.root, "trouble", "app.yaml")
        return Reader(shared, self.source).text(node, TROUBLE, Scope(names={}))

    def plain(self, shared: Shared, place: str) -> Text | None:
        """A text that may be left out, the same in every flow: it may use no names."""
        node = self.root.get(place.removeprefix("app."))
        return Reader(shared, self.source).text(node, place, Scope(names={})) if node is not None else None


def _flows(trees: Mapping[str, tuple[Source, Node]], app: _App, shared: Shared, folder: str) -> dict[str, Flow]:
    read: dict[str, tuple[Source, Map, Signature]] = {}
    listed = {word.text: word for word in app.names}
    for file, (source, root) in trees.items():
        name = file.removeprefix(f"{folder}/").removesuffix(".yaml")
        if name == "app" or "/" in name:
            continue
        signature = read_signature(shared, source, root)
        if signature is None or not isinstance(root, Map):
            continue
        if signature.name != name:
            shared.problems.add("Y2", signature.at, f"the flow in {file} must be called `{name}`")
        elif name not in listed:
            shared.problems.add("Y2", signature.at, f"`{name}` is not listed under `flows` in app.yaml")
        else:
            read[name] = (source, root, signature)
    signatures = {name: signature for name, (_, _, signature) in read.items()}
    for name, word in listed.items():
        if name not in signatures and f"{folder}/{name}.yaml" not in trees:
            shared.problems.add("T1", word.at, f"there is no file {folder}/{name}.yaml", suggest(name, signatures))
    flows = {name: FlowReader(shared, *read[name][:2], signatures, read[name][2]).flow() for name in listed if name in read}
    return {name: flow for name, flow in flows.items() if flow is not None}


def _translations(
    trees: Mapping[str, tuple[Source, Node]], languages: Sequence[str], folder: str, problems: Problems
) -> dict[str, dict[str, Translation]]:
    """The files of flows/text, by place and by language or "<language>.<vendor>".

    Shape:  {language, flow: {place: text | {from, text}}} in text/<language>.yaml; with `vendor` in
            text/<language>.<vendor>.yaml, where that vendor's customers read other words.
    """
    found: dict[str, dict[str, Translation]] = {}
    for file, (source, root) in trees.items():
        if not file.startswith(f"{folder}/text/"):
            continue
        read = Reader(_nothing_shared(problems), source)
        tree = read.map(root, "a translation")
        version = _version(read, tree, languages, file.removeprefix(f"{folder}/text/")) if tree else None
        if tree is None or version is None:
            continue
        for key, value in tree.entries:
            if key.text in ("language", "vendor"):
                continue
            places = read.map(value, "a flow's texts")
            for place, entry in places.entries if places else ():
                node = entry
                came_from: Node | None = None
                if isinstance(entry, Map):
                    read.map(entry, "a text", ("from", "text"))
                    came_from, node = entry.get("from"), read.need(entry, "text", "a text") or entry
                if isinstance(node, Scalar):
                    found.setdefault(f"{key.text}.{place.text}", {})[version] = Translation(
                        source=source, node=node, came_from=came_from if isinstance(came_from, Scalar) else None, at=place.at
                    )
                elif not isinstance(entry, Map):
                    problems.add("Y2", node.at, "a translation is a text")
    return found


def _version(read: Reader, tree: Map, languages: Sequence[str], file: str) -> str | None:
    """Whose words these are, which the file's name says too: `sw`, or `en.mama-duka` of a vendor."""
    word = read.word(read.need(tree, "language", "a translation"), "the language")
    vendor = read.word(tree.get("vendor"), "the vendor")
    if word is None:
        return None
    known = languages[1:] if vendor is None else languages
    if word.text not in known:
        what = "the app's other languages" if vendor is None else "the app's languages"
        read.add("L1", word, f"`{word.text}` in text/{file} is not one of {what}", suggest(word.text, known))
        return None
    version = word.text if vendor is None else f"{word.text}.{vendor.text}"
    if vendor is not None and not _VENDOR.fullmatch(vendor.text):
        read.add("L1", vendor, f"no vendor is called `{vendor.text}` here", "small letters with - for blanks: mama-duka")
    elif file != f"{version}.yaml":
        read.add("L1", word, f"the texts in text/{file} belong into text/{version}.yaml", "or say another `language` or `vendor`")
    else:
        return version
    return None


def _check_translations(shared: Shared) -> None:
    """A translation of a text that is not there is a problem of its own."""
    for place, versions in shared.translations.items():
        for translation in versions.values():
            if place not in shared.texts:
                flow = place.partition(".")[0]
                known = [each.removeprefix(f"{flow}.") for each in shared.texts if each.startswith(f"{flow}.")]
                hint = suggest(place.partition(".")[2], known)
                shared.problems.add("L1", translation.at, f"there is no text `{place}` to translate", hint)


def _nothing_shared(problems: Problems) -> Shared:
    """For reading files that hold no expressions."""
    return Shared(
        catalogue=_NO_CATALOGUE, environment=make_environment({}), problems=problems, languages=("en",), translations={}
    )


_NO_CATALOGUE: Final = Catalogue(
    types={}, context={}, calls={}, events={}, consents={}, entities={}, functions={}, order_states=(), order_flags={}
)
