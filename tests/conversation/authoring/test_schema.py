"""What an editor underlines: every committed file follows its schema, and the usual slips do not."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from ruamel.yaml import YAML

from conversation.authoring import flows, states
from conversation.authoring.load import APP, load_bundle
from conversation.authoring.parts import PartReader
from conversation.authoring.schema import MODELINE, build_schemas, find_drift, schema_name, write_schemas
from conversation.services import CATALOGUE
from tests.conversation.engine.shop import FLOWS, shop_bundle

FILES = sorted(path for path in FLOWS.rglob("*.yaml"))
SHOP = (FLOWS / "shop.yaml").read_text(encoding="utf-8")
TALKS = (FLOWS / "tests" / "talks.test.yaml").read_text(encoding="utf-8")


@cache
def validator(name: str) -> Draft7Validator:
    schema: dict[str, Any] = build_schemas(shop_bundle())[name]
    Draft7Validator.check_schema(schema)
    return Draft7Validator(schema)


def documents(text: str) -> list[Any]:
    return list(YAML(typ="safe", pure=True).load_all(text))


def mistakes(name: str, text: str) -> list[str]:
    return [error.message for document in documents(text) for error in validator(name).iter_errors(document)]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_committed_file_follows_its_schema(path: Path) -> None:
    assert mistakes(schema_name(path), path.read_text(encoding="utf-8")) == []


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_committed_file_names_its_schema_in_its_first_line(path: Path) -> None:
    first = path.read_text(encoding="utf-8").splitlines()[0]
    assert first.startswith(MODELINE)
    assert (path.parent / first.removeprefix(MODELINE)).resolve() == FLOWS / "schema" / schema_name(path)


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("  greet:\n    say:", "  greet:\n    sya:"),
        ("unmatched: {say:", "unmatched: {says:"),
        ("go: quantity}", "go: quantitty}"),
        ("empty: sold_out, error: closed_today", "emtpy: sold_out, error: trouble"),
        ("no_funds | wrong_pin | cancelled", "no_funds | wrong_pln | cancelled"),
        ("cancelled | timed_out | failed: {do", "cancelled | timed_out | faild: {do"),
        ("call: orders.confirm", "call: orders.confrim"),
        ("amount: order.total,", "amount: order.total - 1,"),
        ("with: {order: order.id, add: edit.add,", "with: {order: order.id, ad: edit.add,"),
        ("{consent: pay, go: charge}", "{consent: pey, go: charge}"),
        ("entity: number ", "entity: numbr "),
        ("only: [help, language, agent]", "only: [help, language, agnet]"),
        ("after: {90s: ask_mpesa}", "after: {90 seconds: ask_mpesa}"),
        ("reason: changed_mind", "reason: change_of_mind"),
        ("tries: 2, then: handoff}", "tries: 2}"),
        ("type: product_page", "type: product_pge"),
        ("picked: product,", "picked: produce,"),
        ("times: 1, between", "times: once, between"),
        ("end: paid", "end: [paid]"),
        ("{if: order.lines, to: cart}, browse]", "{if: order.lines, too: cart}, browse]"),
    ],
)
def test_a_slip_in_a_flow_is_underlined(was: str, becomes: str) -> None:
    assert was in SHOP
    assert mistakes("flow-shop.json", SHOP.replace(was, becomes, 1)) != []


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("expect: {state: cart,", "expect: {state: crat,"),
        ("- bot: ...", "- bott: ..."),
        ("vendor: mama-duka}", "vendor: mama-duka, order: {PAID: {Unga 2kg: 1}}}"),
        ('clock: "08:00"', "clock: later"),
        ('phone: "+254700000061"', 'phone: "0700000061"'),
        ("flow: shop", "flow: shpo"),
    ],
)
def test_a_slip_in_a_transcript_is_underlined(was: str, becomes: str) -> None:
    assert was in TALKS
    assert mistakes("test.json", TALKS.replace(was, becomes, 1)) != []


def test_a_translation_of_a_text_that_is_not_there_is_underlined() -> None:
    assert mistakes("text.json", "language: sw\nshop: {greet.say: Karibu}") == []
    assert mistakes("text.json", "language: sw\nshop: {greet.sya: Karibu}") != []


def test_an_app_without_a_time_zone_is_underlined() -> None:
    text = (FLOWS / "app.yaml").read_text(encoding="utf-8")
    assert mistakes("app.json", text.replace("timezone:", "time_zone:")) != []


def test_no_key_is_a_word_that_old_yaml_reads_as_true_or_false() -> None:
    def keys(schema: Any) -> Iterator[str]:
        for name, inner in schema.items() if isinstance(schema, dict) else enumerate(schema if isinstance(schema, list) else ()):
            yield from inner if name == "properties" else ()
            yield from keys(inner)

    known = {key for schema in build_schemas(shop_bundle()).values() for key in keys(schema)}
    assert {"say", "ask", "words", "customer", "expires"} <= known
    assert known & {"on", "off", "yes", "no", "y", "n", "true", "false"} == set()


def test_the_schemas_know_every_key_that_the_loader_knows() -> None:
    schema: Any = build_schemas(shop_bundle())["flow-shop.json"]
    assert set(schema["properties"]) == set(flows.FLOW)
    assert set(schema["definitions"]["state"]["properties"]) == set(states.STATE)
    assert set(schema["definitions"]["edge"]["anyOf"][1]["properties"]) == set(PartReader.EDGE)
    app: Any = build_schemas(shop_bundle())["app.json"]
    assert set(app["properties"]) == set(APP)


def test_the_committed_schemas_are_those_of_the_flows() -> None:
    assert find_drift(FLOWS, shop_bundle()) == [], "run `soko flow schema --write`"


def test_writing_brings_every_schema_up_to_date_and_takes_away_those_of_flows_that_are_gone(tmp_path: Path) -> None:
    for file in FLOWS.glob("*.yaml"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    bundle = load_bundle(tmp_path, CATALOGUE)
    (tmp_path / "schema").mkdir()
    (tmp_path / "schema" / "flow-gone.json").write_text("{}")
    flows = [f"flow-{name}.json" for name in (*bundle.flows, "gone")]
    assert write_schemas(tmp_path, bundle) == sorted(["app.json", "test.json", "text.json", *flows])
    assert find_drift(tmp_path, bundle) == []
    (tmp_path / "schema" / "app.json").write_text(json.dumps({}))
    assert find_drift(tmp_path, bundle) == ["app.json"]
