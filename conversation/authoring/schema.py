"""JSON Schema of every kind of flow file, with the names of this deployment, so that editors complete and underline.

One schema for app.yaml, one for each flow (its states and slots are enums), one for translations, one for transcripts.
A schema sees one file and no types: `soko flow check` remains the judge. What the loader takes, the schema takes too.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, TypeAlias, get_args

from conversation.authoring.draws import targets_of
from conversation.authoring.transcripts import OrderStatus, Outcome, PushOutcome
from conversation.engine.catalogue import CallSpec, Catalogue
from conversation.engine.flow import Bundle, Flow
from conversation.engine.types import SCALARS, OneOf, Type, describe
from conversation.engine.values import JSON

Schema: TypeAlias = "dict[str, JSON]"

FOLDER: Final = "schema"
DIALECT: Final = "http://json-schema.org/draft-07/schema#"  # the newest that VS Code's YAML extension follows whole
MODELINE: Final = "# yaml-language-server: $schema="

WORD: Final[Schema] = {"type": ["string", "number", "boolean"]}  # any YAML scalar is text to the loader
STOCK: Final[Schema] = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}}
EXPRESSION: Final[Schema] = {**WORD, "description": "an expression, e.g. order.total > 0"}
TEXT: Final[Schema] = {**WORD, "description": "a text; {{ … }} writes a value into it"}
CHECK: Final[Schema] = {
    "type": "object",
    "properties": {"if": EXPRESSION, "else": TEXT},
    "required": ["if", "else"],
    "additionalProperties": False,
}
DURATION: Final = r"^\d{1,6}[smhd]$"
MINUTE: Final = r"^([01]?\d|2[0-3]):[0-5]\d$"
BETWEEN: Final[Schema] = {"type": "array", "items": {"type": "string", "pattern": MINUTE}, "minItems": 2, "maxItems": 2}
CHOICE: Final = r"^[A-Za-z0-9_]{1,40}$"


def ref(name: str) -> Schema:
    """Point at a definition of the same schema."""
    return {"$ref": f"#/definitions/{name}"}


def record(properties: Mapping[str, JSON], *, needs: Sequence[str] = (), **more: JSON) -> Schema:
    """A mapping with these keys and no others."""
    schema: Schema = {"type": "object", "properties": dict(properties), "additionalProperties": False, **more}
    return schema | ({"required": list(needs)} if needs else {})


def listed(items: JSON) -> Schema:
    """A list."""
    return {"type": "array", "items": items}


def either(*options: JSON) -> Schema:
    """Any of these."""
    return {"anyOf": list(options)}


def one_of(names: Iterable[str]) -> Schema:
    """One of these words."""
    return {"enum": sorted(names)}


def build_schemas(bundle: Bundle) -> dict[str, Schema]:
    """Return every schema by its file name: app.json, text.json, test.json, and flow-<name>.json for each flow."""
    schemas = {"app.json": _app(bundle), "text.json": _translations(bundle), "test.json": _transcript(bundle)}
    schemas |= {f"flow-{flow.name}.json": _FlowSchema(bundle, flow).schema() for flow in bundle.flows.values()}
    return {name: {"$schema": DIALECT, **schema} for name, schema in sorted(schemas.items())}


def to_files(schemas: Mapping[str, Schema]) -> dict[str, str]:
    """Return the contents of the schema files."""
    return {name: json.dumps(schema, indent=1, ensure_ascii=False) + "\n" for name, schema in schemas.items()}


def find_drift(folder: Path, bundle: Bundle) -> list[str]:
    """Name the files of folder/schema that are missing, out of date, or of a flow that is gone."""
    wanted = to_files(build_schemas(bundle))
    there = {path.name: path.read_text(encoding="utf-8") for path in (folder / FOLDER).glob("*.json")}
    return sorted(name for name in {*wanted, *there} if wanted.get(name) != there.get(name))


def write_schemas(folder: Path, bundle: Bundle) -> list[str]:
    """Bring folder/schema up to date, and return what changed."""
    drift, wanted = find_drift(folder, bundle), to_files(build_schemas(bundle))
    (folder / FOLDER).mkdir(exist_ok=True)
    for name in drift:
        path = folder / FOLDER / name
        path.write_text(wanted[name], encoding="utf-8") if name in wanted else path.unlink()
    return drift


def schema_name(file: Path) -> str:
    """Which schema a file of flows/ follows: "app.json" for app.yaml, "flow-shop.json" for shop.yaml."""
    match file.parent.name, file.name:
        case "text", _:
            return "text.json"
        case _, name if name.endswith(".test.yaml"):
            return "test.json"
        case _, "app.yaml":
            return "app.json"
        case _:
            return f"flow-{file.stem}.json"


def _outcome_keys(outcomes: Sequence[str], value: JSON) -> Schema:
    """`paid: …` and `cancelled | failed: …`: each known outcome, or several joined by a bar."""
    names = "|".join(re.escape(outcome) for outcome in outcomes)
    several = rf"^({names})( *\| *({names}))+$"
    return {**record(dict.fromkeys(outcomes, value)), "patternProperties": {several: value}}


# ---------------------------------------------------------------- a flow


class _FlowSchema:
    """The schema of one flow's file."""

    def __init__(self, bundle: Bundle, flow: Flow) -> None:
        self.bundle = bundle
        self.catalogue: Catalogue = bundle.catalogue
        self.flow = flow
        self.languages = bundle.languages
        self.commands = sorted({command.name for state in flow.states.values() for command in state.commands})
        self.visitable = [each.name for each in bundle.flows.values() if not each.takes]

    def schema(self) -> Schema:
        silence = record({"expires": ref("expires"), "remind": ref("remind")})
        properties: dict[str, JSON] = {
            "flow": {"const": self.flow.name},
            "starts_when": listed(ref("start")),
            "takes": {"type": "object", "additionalProperties": ref("type")},
            "gives": {"type": "object", "additionalProperties": ref("type"), "maxProperties": 1},
            "slots": {"type": "object", "additionalProperties": record({"type": ref("type"), "default": WORD}, needs=["type"])},
            "conversation": silence,
            "commands": {"type": "object", "additionalProperties": self._edge_with({"words": ref("words")}, needs=["words"])},
            "on_leave": record({"do": listed(ref("small_action")), "say": ref("say")}),
            "states": {"type": "object", "additionalProperties": ref("state"), "minProperties": 1},
        }
        title = f"the flow {self.flow.name}"
        return {"title": title, **record(properties, needs=["flow", "states"]), "definitions": self._definitions()}

    def _definitions(self) -> Schema:
        branch = record({"if": EXPRESSION, "to": ref("state_name")}, needs=["to"])
        name: Schema = {"type": "string", "pattern": "^[a-z0-9_]+$", "description": "as Meta has approved it"}
        template = either(name, record({"name": name, "with": listed(EXPRESSION)}, needs=["name"]))
        line = record({"if": EXPRESSION, "text": TEXT, "template": template}, needs=["text"])
        share: Schema = {"type": "integer", "minimum": 1, "maximum": 1000}
        return {
            "state_name": {**one_of(self.flow.states), "description": "a state of this flow"},
            "slot": {**one_of(self.flow.slots), "description": "a slot of this flow"},
            "words": either(listed(WORD), record(dict.fromkeys(self.languages, listed(WORD)))),
            "type": {"type": "string", "pattern": self._type_pattern(), "description": "int, product, list of line 9, …"},
            "duration": {"type": "string", "pattern": DURATION, "description": "90s, 30m, 12h, 7d"},
            "go": either(
                ref("state_name"), listed(either(ref("state_name"), branch)), record({"split": ref("split")}, needs=["split"])
            ),
            "split": {"type": "object", "propertyNames": ref("state_name"), "additionalProperties": share, "minProperties": 2},
            "field": self._field(),
            "line": either(TEXT, line),
            "say": either(ref("line"), listed(ref("line"))),
            "small_action": self._small_action(),
            "action": either(ref("small_action"), ref("call")),
            "call": self._call(),
            "edge": either(ref("state_name"), self._edge_with({})),
            "start": self._start(),
            "expires": record({"after": ref("duration"), "to": ref("state_name")}, needs=["after", "to"]),
            "remind": self._remind(),
            "ask": either(TEXT, record({"text": TEXT, "buttons": ref("buttons"), "list": ref("list")}, needs=["text"])),
            "buttons": {
                "type": "object",
                "propertyNames": {"pattern": CHOICE},
                "additionalProperties": TEXT,
                "maxProperties": 10,
            },
            "list": self._list(),
            "reply": self._reply(),
            "state": self._state(),
        }

    def _type_pattern(self) -> str:
        names = "|".join(sorted([*SCALARS, *self.catalogue.types]))
        return rf"^(list of )?({names}|string \d+|one of \w+(/\w+)+)( \d+)?( or none)?$"

    def _small_action(self) -> Schema:
        slots = record(
            {"set": {"type": "object", "propertyNames": ref("slot"), "additionalProperties": EXPRESSION}}, needs=["set"]
        )
        language = record({"switch_language": one_of(self.languages)}, needs=["switch_language"])
        metric: Schema = {"type": "string", "pattern": r"^[a-z][a-z0-9_]{0,39}$"}
        emit = record({"emit": either(metric, record({"name": metric, "value": EXPRESSION}, needs=["name"]))}, needs=["emit"])
        later: dict[str, JSON] = {
            "flow": one_of(self.visitable),
            "after": ref("duration"),
            "date": EXPRESSION,
            "at": {"type": "string", "pattern": MINUTE},
            "between": BETWEEN,
        }
        ways: list[JSON] = [{"required": ["after"]}, {"required": ["date", "at"]}]
        schedule = record({"schedule": record(later, needs=["flow"], oneOf=ways)}, needs=["schedule"])
        return either({"const": "switch_language"}, slots, language, emit, schedule)

    def _field(self) -> Schema:
        properties: dict[str, JSON] = {
            "type": {"type": "string", "description": "an entity, or string 200"},
            "ask": TEXT,
            "buttons": ref("buttons"),
            "list": ref("list"),
            "check": CHECK,
            "skip": ref("words"),
            "title": TEXT,
        }
        return record(properties, needs=["ask"])

    def _edge_with(self, more: Mapping[str, JSON], *, needs: Sequence[str] = ()) -> Schema:
        properties: dict[str, JSON] = {
            **more,
            "do": listed(ref("small_action")),
            "say": ref("say"),
            "go": ref("go"),
            "then": {"const": "resume"},
            "call": one_of(self.visitable),
        }
        ways: list[JSON] = [{"required": [way]} for way in ("go", "then", "call")]
        return record(properties, needs=needs, oneOf=ways)

    def _call(self) -> Schema:
        cases: list[JSON] = [self._case(spec.name, self._service(spec)) for spec in self.catalogue.calls.values()]
        cases += [self._case(flow.name, self._subflow(flow)) for flow in self.bundle.flows.values()]
        properties: dict[str, JSON] = {
            "call": one_of([*self.catalogue.calls, *self.bundle.flows]),
            "with": {"type": "object"},
            "as": ref("slot"),
            "else": {"type": "object"},
        }
        return record(properties, needs=["call"], allOf=cases)

    @staticmethod
    def _case(name: str, then: JSON) -> Schema:
        return {"if": {"properties": {"call": {"const": name}}, "required": ["call"]}, "then": then}

    def _service(self, spec: CallSpec) -> Schema:
        given = {name: self._argument(spec, name, kind) for name, kind in spec.takes.items()}
        outcomes = [outcome.name for outcome in spec.outcomes.values() if not outcome.continues]
        return {
            "properties": {"with": record(given, needs=list(spec.takes)), "else": _outcome_keys(outcomes, ref("edge"))},
            "required": ["with"] * bool(spec.takes) + ["else"] * bool(outcomes),
        }

    def _argument(self, spec: CallSpec, name: str, kind: Type) -> Schema:
        if name in spec.must_equal:
            return {"const": spec.must_equal[name]}
        if isinstance(kind, OneOf):
            return either(one_of(kind.values), ref("slot"), {"type": "string", "pattern": r"[^A-Za-z0-9_]"})
        return {**EXPRESSION, "description": describe(kind)}

    def _subflow(self, flow: Flow) -> Schema:
        given = record(dict.fromkeys(flow.takes, EXPRESSION), needs=list(flow.takes))
        return {"properties": {"with": given, "else": _outcome_keys(sorted(flow.results), ref("edge"))}}

    def _start(self) -> Schema:
        kinds: list[JSON] = [{"required": [kind]} for kind in ("words", "link", "entity", "event", "any")]
        properties: dict[str, JSON] = {
            "words": ref("words"),
            "link": WORD,
            "entity": one_of(self.catalogue.entities),
            "as": ref("slot"),
            "event": one_of(self.catalogue.events),
            "any": {"type": "boolean"},
            "go": ref("state_name"),
        }
        return record(properties, oneOf=kinds)

    def _remind(self) -> Schema:
        properties: dict[str, JSON] = {
            "after": ref("duration"),
            "in": listed(ref("state_name")),
            "times": {"type": "integer", "minimum": 1, "maximum": 10},
            "between": BETWEEN,
            "say": ref("say"),
        }
        return record(properties, needs=["after", "in", "say"])

    @staticmethod
    def _list() -> Schema:
        each = record({"each": EXPRESSION, "id": EXPRESSION, "title": TEXT, "about": TEXT}, needs=["each", "id", "title"])
        row = either(TEXT, record({"title": TEXT, "about": TEXT}, needs=["title"]))
        fixed: Schema = {
            "type": "object",
            "propertyNames": {"pattern": CHOICE, "not": {"const": "each"}},
            "additionalProperties": row,
            "maxProperties": 10,
        }
        more = record({"if": EXPRESSION, "id": {"type": "string", "pattern": CHOICE}, "title": TEXT}, needs=["title"])
        return record({"button": TEXT, "rows": either(each, fixed), "more": more}, needs=["button", "rows"])

    def _reply(self) -> Schema:
        kinds = ("choice", "picked", "consent", "entity", "pattern", "intent", "any")
        properties: dict[str, JSON] = {
            "choice": either(one_of(_choices(self.flow)), {"type": "string", "pattern": CHOICE}),
            "picked": ref("slot"),
            "consent": one_of(self.catalogue.consents),
            "entity": one_of(self.catalogue.entities),
            "pattern": {"type": "string"},
            "intent": WORD,
            "any": {"const": True},
            "words": ref("words"),
            "as": either(ref("slot"), {"type": "string", "pattern": r"^[A-Za-z]\w*$"}),
            "check": CHECK,
        }
        known: list[JSON] = [{"required": [kind]} for kind in (*kinds, "words")]
        return {"allOf": [self._edge_with(properties), {"anyOf": known}]}

    def _state(self) -> Schema:
        tries: Schema = {"type": "integer", "minimum": 1, "maximum": 100}
        unmatched = record({"say": ref("say"), "tries": tries, "then": ref("state_name")})
        own = {command: ref("edge") for command in self.commands}
        visits = record(
            {"max": {"type": "integer", "minimum": 1, "maximum": 1000}, "then": ref("state_name")}, needs=["max", "then"]
        )
        properties: dict[str, JSON] = {
            "redirect": listed(record({"if": EXPRESSION, "to": ref("state_name"), "say": ref("say")}, needs=["if", "to"])),
            "do": listed(ref("action")),
            "say": ref("say"),
            "ask": ref("ask"),
            "wait": record({"for": one_of(self.catalogue.events), "where": {"type": "object"}}, needs=["for", "where"]),
            "form": {"type": "object", "propertyNames": ref("slot"), "additionalProperties": ref("field"), "minProperties": 1},
            "correct": either({"type": "boolean"}, record({"say": TEXT}, needs=["say"])),
            "handoff": record({"queue": WORD, "note": TEXT}, needs=["queue", "note"]),
            "back": ref("edge"),
            "replies": listed(ref("reply")),
            "unmatched": {**unmatched, "dependencies": {"tries": ["then"], "then": ["tries"]}},
            "commands": record({"only": listed(one_of(self.commands)), **own}),
            "outcomes": {"type": "object"},
            "after": {"type": "object", "patternProperties": {DURATION: ref("edge")}, "additionalProperties": False},
            "visits": visits,
            "go": ref("go"),
            "end": WORD,
        }
        return record(properties, allOf=self._events())

    def _events(self) -> list[JSON]:
        cases: list[JSON] = []
        for spec in self.catalogue.events.values():
            where = record({spec.key: EXPRESSION}, needs=[spec.key])
            awaited: Schema = {"properties": {"wait": {"properties": {"for": {"const": spec.name}}, "required": ["for"]}}}
            then: Schema = {
                "properties": {
                    "wait": {"properties": {"where": where}},
                    "outcomes": _outcome_keys(list(spec.outcomes), ref("edge")),
                },
                "required": ["outcomes", "after"],
            }
            cases.append({"if": {**awaited, "required": ["wait"]}, "then": then})
        return cases


def _choices(flow: Flow) -> set[str]:
    asks = [state.ask for state in flow.states.values() if state.ask is not None]
    found = {choice.id for ask in asks for choice in (*ask.buttons, *ask.fixed)}
    return found | {ask.more.id for ask in asks if ask.more is not None and ask.more.id is not None}


# ---------------------------------------------------------------- the other files


def _app(bundle: Bundle) -> Schema:
    limits = record(
        {
            "steps_per_turn": {"type": "integer", "minimum": 1, "maximum": 200},
            "messages_per_turn": {"type": "integer", "minimum": 1, "maximum": 10},
            "expression_cost": {"type": "integer", "minimum": 100, "maximum": 100_000},
        }
    )
    properties: dict[str, JSON] = {
        "app": WORD,
        "languages": record({"base": WORD, "also": listed(WORD)}, needs=["base"]),
        "timezone": {"type": "string", "description": "e.g. Africa/Nairobi"},
        "channel": {"const": "whatsapp"},
        "flows": listed(either(one_of(bundle.flows), {"type": "string", "pattern": r"^[a-z]\w*$"})),
        "trouble": {**TEXT, "description": "said when a turn failed on our side; it can use no names"},
        "no_words": {**TEXT, "description": "said of a picture, a recording, a place…; it can use no names"},
        "too_fast": {**TEXT, "description": "said once to who writes so often that no more is read; it can use no names"},
        "limits": limits,
        "intents": listed(WORD),
        "places": {
            "type": "object",
            "additionalProperties": {**listed(WORD), "minItems": 1},
            "description": "what customers call each",
        },
        "publish": record(
            {
                "pinned": listed(one_of([f"{flow.name}.{state}" for flow in bundle.flows.values() for state in flow.states])),
                "old_versions_live": {
                    "type": "string",
                    "pattern": DURATION,
                    "description": "how long an old version serves, e.g. 48h",
                },
            }
        ),
    }
    return {"title": "app.yaml", **record(properties, needs=["languages", "timezone", "channel", "flows", "trouble"])}


def _translations(bundle: Bundle) -> Schema:
    entry = either(TEXT, record({"from": {"type": "string", "pattern": "^[0-9a-f]{4}$"}, "text": TEXT}, needs=["text"]))
    by_flow: dict[str, dict[str, JSON]] = {}
    for place in sorted(bundle.texts):
        flow, _, rest = place.partition(".")
        by_flow.setdefault(flow, {})[rest] = {"$ref": "#/definitions/entry"}
    properties: dict[str, JSON] = {
        "language": one_of(bundle.languages),
        "vendor": {"type": "string", "description": "whose customers read these words instead, e.g. mama-duka"},
    }
    properties |= {flow: record(places) for flow, places in by_flow.items()}
    return {"title": "translations", **record(properties, needs=["language"]), "definitions": {"entry": entry}}


def _transcript(bundle: Bundle) -> Schema:
    document: dict[str, JSON] = {
        "test": {**WORD, "description": "what happens, as a sentence"},
        "recorded": {},
        "flow": one_of(bundle.flows),
        "given": _given(bundle),
        "mpesa": _mpesa(),
        "chat": {**listed(ref("step")), "minItems": 1},
    }
    step: dict[str, JSON] = {
        "customer": either(WORD, ref("does")),
        "bot": either(WORD, listed(WORD), ref("reply")),
        "person": either(WORD, record({"done": {"const": True}}, needs=["done"])),
        "vendor": record({"stock": STOCK, "stops": either(WORD, listed(WORD))}, minProperties=1),
        "clock": {"type": "string", "pattern": r"^(\+(\d+[dhms])+|([01]?\d|2[0-3]):[0-5]\d)$"},
        "event": either({"const": "same"}, _mpesa_tells()),
        "expect": ref("expect"),
    }
    definitions: Schema = {
        "step": record(step, minProperties=1, maxProperties=1),
        "does": _does(),
        "reply": _bot(bundle),
        "expect": _expect(bundle),
    }
    return {"title": "a transcript", **record(document, needs=["test", "flow", "given", "chat"]), "definitions": definitions}


def _given(bundle: Bundle) -> Schema:
    phone: Schema = {"type": "string", "pattern": r"^\+254\d{9}$"}
    customer = record({"phone": phone, "first_name": WORD, "language": one_of(bundle.languages)}, needs=["phone"])
    lines: Schema = {"type": "object", "additionalProperties": {"type": "integer", "minimum": 1}}
    product: dict[str, JSON] = {"price": {"type": "integer", "minimum": 1}, "also": listed(WORD)}
    product |= dict.fromkeys(("name", "short_name", "unit", "category"), WORD)
    properties: dict[str, JSON] = {
        "now": {"type": "string", "pattern": r"^\d{4}-\d\d-\d\d \d\d:\d\d", "description": "2026-03-02 09:15, in Nairobi"},
        "customer": customer,
        "vendor": {"type": "string"},
        "order": record({"DRAFT": lines, "CONFIRMED": lines}, minProperties=1, maxProperties=1),
        "stock": STOCK,
        "products": listed(record(product, needs=["name", "price"])),
        "draws": record({place: one_of(targets) for place, targets in targets_of(bundle).items()}),
    }
    return record(properties, needs=["now", "customer", "vendor"])


def _mpesa() -> Schema:
    answer = either(one_of(["pending", *get_args(Outcome)]), record({"paid": record({"receipt": _receipt()})}, needs=["paid"]))
    return record({"push": listed(one_of(get_args(PushOutcome))), "query": listed(answer)})


def _receipt() -> Schema:
    return {"type": "string", "pattern": "^[A-Z0-9]{10}$"}


def _mpesa_tells() -> Schema:
    told: dict[str, JSON] = {
        "attempt": {"type": "integer", "minimum": 1},
        "outcome": one_of(get_args(Outcome)),
        "receipt": _receipt(),
    }
    return record(
        {"payments.result": record(told, needs=["attempt", "outcome"]), "after": {"type": "string"}}, needs=["payments.result"]
    )


def _does() -> Schema:
    media = either({"const": True}, record({"caption": WORD}, needs=["caption"]))
    place = record({"lat": {"type": "number"}, "lon": {"type": "number"}, "name": WORD}, needs=["lat", "lon"])
    tap = record({"tap": WORD, "of": WORD, "nth": {"type": "integer", "minimum": 1}}, needs=["tap"])
    kinds = dict.fromkeys(("image", "audio", "video", "document", "sticker"), media)
    classified = record({"text": WORD, "intent": WORD}, needs=["text", "intent"])
    return either(classified, tap, record({**kinds, "location": place}, minProperties=1, maxProperties=1))


def _bot(bundle: Bundle) -> Schema:
    titles = listed(WORD)
    asked = {place.partition(".")[2] for place in bundle.texts} | set(bundle.texts)
    at: JSON = either(one_of(asked), {"type": "string"})
    parts: dict[str, JSON] = {
        "at": at,
        "text": either(WORD, listed(WORD)),
        "buttons": titles,
        "list": record({"button": WORD, "rows": titles}),
    }
    return record(parts, minProperties=1)


def _expect(bundle: Bundle) -> Schema:
    names = either(one_of(bundle.catalogue.calls), listed(one_of(bundle.catalogue.calls)))
    states = {name for flow in bundle.flows.values() for state in flow.states for name in (state, f"{flow.name}.{state}")}
    results = {result for flow in bundle.flows.values() for result in flow.results}
    effects: Schema = {
        "type": "object",
        "propertyNames": one_of(bundle.catalogue.calls),
        "additionalProperties": {"type": "object"},
    }
    totals: Schema = {
        "type": "object",
        "propertyNames": one_of(bundle.catalogue.calls),
        "additionalProperties": {"type": "integer", "minimum": 0},
    }
    properties: dict[str, JSON] = {
        "state": one_of({*states, "none"}),
        "order": one_of([*get_args(OrderStatus), "none"]),
        "slots": {"type": "object"},
        "effects": names,
        "effect": either(names, effects),
        "no_effect": names,
        "effects_total": totals,
        "ended": either(one_of(results), WORD),
    }
    return record(properties, minProperties=1)
