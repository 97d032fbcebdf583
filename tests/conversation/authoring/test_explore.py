"""What exploring finds: charges nobody asked for, dead ends, waits that never end, turns that break. Nothing in the shop."""

from functools import cache
from pathlib import Path

from conversation.authoring.draws import draws_in
from conversation.authoring.explore import Explored, Finding, explore
from conversation.authoring.live_slots import live_slots
from conversation.authoring.load import build_bundle, build_unchecked
from conversation.authoring.made_tests import choose_paths, write_tests
from conversation.authoring.pretend import PHRASES, Pretend, World, phrases_for, sample, shape
from conversation.authoring.read_transcripts import parse_transcripts
from conversation.authoring.way_names import Way, declared_ways, taken_ways
from conversation.engine.flow import Bundle, CallService, State
from conversation.engine.types import INT, Fields, ListOf, OneOf, OrNone
from conversation.services import CATALOGUE
from soko.replay.stage import Stage
from soko.replay.write_transcript import write_transcript
from tests.conversation.engine.shop import Shop, shop_bundle
from tests.conversation.engine.small import APP, LATE, bundle_of, files_of

WHERE = """\
  ask: {ask: {text: Where?}, replies: [{entity: place, as: where, go: done}], unmatched: {say: Again., tries: 2, then: done}}
  done: {end: a}
"""


@cache
def shop() -> Explored:
    return explore(shop_bundle(), depth=7)


@cache
def without_faults() -> Explored:
    return explore(shop_bundle(), faultless=True)


def explored(*flows: str) -> Explored:
    return explore(bundle_of(*flows, LATE), depth=12)


def findings(*flows: str) -> list[Finding]:
    return explored(*flows).findings


def rewired(bundle: Bundle, name: str, **changes: object) -> Bundle:
    """The shop with one state changed behind the checker's back."""
    flow = bundle.flows["shop"]
    state = State(**{**vars(flow.states[name]), **changes})
    changed = type(flow)(**{**vars(flow), "states": {**flow.states, name: state}})
    return type(bundle)(**{**vars(bundle), "flows": {**bundle.flows, "shop": changed}})


def test_the_shop_has_no_charge_unasked_no_dead_end_and_no_turn_that_breaks() -> None:
    assert [finding for finding in shop().findings if finding.kind != "silence"] == []
    assert len(shop().taken) > 110
    assert not shop().complete


def test_without_faults_the_shop_is_explored_whole() -> None:
    found = without_faults()
    assert found.complete
    assert found.findings == []
    left = {str(way) for way in found.never if not way.source.startswith("shop.")}
    # A pretended vendor has a branch.
    assert left == {"support.visit --> support.always", "support.always --> support.done"}
    assert Way(source="shop.pay", by="pay", target="shop.charge") in found.taken
    assert Way(source="shop.waiting", by="paid", target="shop.receipt") in found.taken
    assert Way(source="shop.charge", by="daily_limit", target="shop.limit") not in found.taken


def test_a_charge_without_a_pay_in_its_own_turn_is_found_with_its_story() -> None:
    outcome = "wrong_pin"
    bundle = shop_bundle()
    waiting = bundle.flows["shop"].states["waiting"]
    assert waiting.wait is not None
    charge_again = next(reply.edge for reply in bundle.flows["shop"].states["pay"].replies if reply.consent)
    wait = type(waiting.wait)(**{**vars(waiting.wait), "outcomes": {**waiting.wait.outcomes, outcome: charge_again}})
    unasked = [each for each in explore(rewired(bundle, "waiting", wait=wait), depth=5).findings if each.kind == "unasked charge"]
    assert len(unasked) == 1
    assert unasked[0].story[-1] == f"payments.result: {outcome}"
    assert "customer taps PAY" in unasked[0].story
    assert "how it can happen" in str(unasked[0])


def test_a_wait_that_only_leads_back_to_itself_is_a_dead_end() -> None:
    bundle = shop_bundle()
    quantity = {"replies": (), "commands": (), "unmatched": None}
    flow = bundle.flows["shop"]
    stuck = rewired(type(bundle)(**{**vars(bundle), "flows": {**bundle.flows, "shop": flow}}), "quantity", **quantity)
    silent = type(flow)(**{**vars(stuck.flows["shop"]), "expiry": None})
    stuck = type(bundle)(**{**vars(stuck), "flows": {**stuck.flows, "shop": silent}})
    kinds = {(each.kind, each.what) for each in explore(stuck, depth=4, faultless=True).findings}
    assert ("dead end", "nothing leads out of `shop.quantity`") in kinds


def test_two_questions_that_only_lead_to_each_other_never_end() -> None:
    bundle = shop_bundle()
    flow = bundle.flows["shop"]
    pair = (flow.states["browse"], flow.states["quantity"])
    for state, other in zip(pair, reversed(pair), strict=True):
        to = next(reply.edge for reply in flow.states["browse"].replies if reply.picked)
        edge = type(to)(**{**vars(to), "go": (type(to.go[0])(**{**vars(to.go[0]), "to": other.name}),)})
        reply = next(reply for reply in state.replies if reply.picked or reply.entity == "number")
        only = type(reply)(**{**vars(reply), "edge": edge})
        actions = tuple(
            type(action)(**{**vars(action), "otherwise": dict.fromkeys(action.otherwise, edge)})
            for action in state.do
            if isinstance(action, CallService)
        )
        bundle = rewired(bundle, state.name, replies=(only,), commands=(), unmatched=None, do=actions)
    silent = type(flow)(**{**vars(bundle.flows["shop"]), "expiry": None})
    bundle = type(bundle)(**{**vars(bundle), "flows": {**bundle.flows, "shop": silent}})
    found = {(each.kind, each.what) for each in explore(bundle, depth=4, faultless=True).findings}
    assert ("never ends", "no customer who is in `shop.browse` can come to an end") in found


def test_a_question_that_answers_a_misunderstanding_with_an_empty_text_meets_the_customer_with_silence() -> None:
    flow = """
flow: quiet
starts_when: [{any: true}]
states:
  begin:
    ask: Well?
    replies: [{words: [bye], go: done}]
    unmatched: {say: "{% if false %}no{% endif %}", tries: 2, then: done}
  done: {say: Bye., end: done}
"""
    found = findings(flow)
    assert [(each.kind, each.story) for each in found] == [("silence", ("customer: qwerty asdf", "customer: qwerty asdf"))]


def test_a_turn_that_breaks_is_told_with_its_cause() -> None:
    flow = """
flow: broken
starts_when: [{any: true}]
states:
  begin:
    ask: Well?
    replies: [{words: [bye], go: done}]
    unmatched: {tries: 2, then: done}
  done: {say: ["1", "2", "3", "4", "5"], end: done}
"""
    bundle = build_unchecked(files_of(flow, LATE), CATALOGUE)  # the check refuses it before anybody can explore it
    found = explore(bundle, depth=5).findings
    assert {each.kind for each in found} == {"breaks"}
    assert "more than 4 messages" in found[0].what


def test_ways_are_read_from_a_trace_as_they_are_written() -> None:
    declared = frozenset(declared_ways(shop_bundle(), ["shop"]))
    walk = Shop()
    seen: set[Way] = set()
    for text in ("hi", "2 unga", "ok", "cancel"):
        walk.say(text)
        seen |= set(taken_ways(declared, walk.trace))
    assert {str(way) for way in seen} == {
        "shop.greet --> shop.browse",
        "shop.browse -- basket_edit --> shop.change",
        "shop.change --> shop.cart",
        "shop.cart -- confirm --> shop.confirm",
        "shop.confirm --> shop.pay",
        "shop.pay -- cancel --> shop.cancel",
    }


def test_a_chosen_path_is_the_shortest_and_is_not_made_for_what_is_taken_already() -> None:
    found = without_faults()
    everything = choose_paths(found, ())
    assert choose_paths(found, found.taken) == []
    covered = {way for _, path in everything for turn in path for way in taken_ways(frozenset(found.declared), turn.trace)}
    assert covered == found.taken
    assert all(path == found.shortest[way] for way, path in everything)


def test_every_transcript_that_is_made_can_be_read_and_passes(transcript_stage: Stage) -> None:
    text = write_tests(choose_paths(without_faults(), ()), vendor="mama-duka", zone=shop_bundle().timezone)
    transcripts = parse_transcripts(text, file="flows/tests/explored.test.yaml")
    assert len(transcripts) > 20
    played = [transcript_stage.play(transcript) for transcript in transcripts]
    assert [each.failure.headline for each in played if each.failure is not None] == []
    declared = frozenset(without_faults().declared)
    taken = {way for one in played for trace in one.traces for way in taken_ways(declared, trace)}
    assert without_faults().taken <= taken


EVERYTHING = """
flow: everything
starts_when: [{link: "all-{vendor}"}, {words: [all]}, {any: true}]
slots: {code: {type: string}, a: {type: int}, b: {type: product_page}}
commands: {stop: {words: [stop], go: stopped}}
states:
  begin:
    ask: {text: Well?, buttons: {form: A form, person: A person}}
    replies:
      - {choice: form, go: form}
      - {choice: person, go: person}
      - {pattern: '[A-Z]{2}-\\d{3}', as: code, go: coded}
      - {intent: complain, go: person}
  coded: {do: [{emit: {name: coded}}], say: "{{ code }}", go: {split: {drawn_one: 1, drawn_two: 9}}}
  drawn_one: {say: One., end: one}
  drawn_two: {say: Two., end: two}
  form:
    form:
      many: {type: number, title: How many, ask: How many?, check: {if: many < 100, else: Too many.}}
      note: {type: string 20, title: A note, ask: Anything else?, skip: [none]}
    correct: true
    unmatched: {say: What?, tries: 1, then: stopped}
    go: done
  person:
    say: Somebody will write to you.
    handoff: {queue: help, note: "a person"}
    commands: {only: [stop]}
    after: {2h: stopped}
    back: done
  done: {say: Done., end: done}
  stopped: {say: Stopped., end: stopped}
"""


def everything() -> Bundle:
    app = (APP.strip() % b"everything, late_payment") + b"\nintents: [complain]\n"
    return build_bundle(files_of(EVERYTHING, LATE) | {"flows/app.yaml": app}, CATALOGUE)


def test_every_construct_is_explored() -> None:
    found = explore(everything(), depth=12)
    assert (found.never, found.findings) == ([], [])
    turns = [turn for path in found.shortest.values() for turn in path]
    told = {told for turn in turns for told in turn.told}
    assert {"customer: aa-000", "customer: qwerty asdf, meaning complain", "the people give the conversation back"} <= told
    assert {to for turn in turns for entry in turn.trace if entry["what"] == "split" and (to := entry["to"])} == {
        "drawn_one",
        "drawn_two",
    }


def test_both_ways_of_a_split_are_in_transcripts_that_pass(transcript_stage: Stage, tmp_path: Path) -> None:
    (tmp_path / "app.yaml").touch()
    transcript_stage.take(tmp_path, everything())
    paths = [
        (way, path)
        for way, path in choose_paths(explore(everything(), depth=12, faultless=True), ())
        if draws_in(turn.trace for turn in path)
    ]
    text = write_tests(paths, vendor="mama-duka", zone=everything().timezone)
    transcripts = parse_transcripts(text, file=str(tmp_path / "tests" / "explored.test.yaml"))
    drawn = [each.given.draws["everything.coded"] for each in transcripts]
    assert sorted(drawn) == ["drawn_one", "drawn_two"]
    played = [transcript_stage.play(transcript) for transcript in transcripts]
    assert [each.failure.headline for each in played if each.failure is not None] == []
    assert [draws_in(each.traces) for each in played] == [each.given.draws for each in transcripts]
    watched = [transcript_stage.watch(transcript) for transcript in transcripts]
    texts = [write_transcript(one, seen, name="b") for one, seen in zip(transcripts, watched, strict=True)]
    again = [parse_transcripts(each, file=transcripts[0].file)[0].given.draws for each in texts]
    assert again == [each.given.draws for each in transcripts]
    (strange,) = parse_transcripts(text.split("---")[0].replace(drawn[0], "nowhere"), file=transcripts[0].file)[:1]
    failed = transcript_stage.play(strange).failure
    assert failed is not None
    assert "there is everything.coded: drawn_one or drawn_two" in failed.report


def test_a_transcript_is_made_of_everything_that_can_be_said(transcript_stage: Stage, tmp_path: Path) -> None:
    found = explore(everything(), depth=12, faultless=True)
    assert found.never == []
    written = [step for path in found.shortest.values() for turn in path for step in turn.written or ()]
    assert {"person": {"done": True}} in written
    meant = [each for each in found.shortest.items() if str(each[0]) == "everything.begin -- complain --> everything.person"]
    text = write_tests(meant, vendor="mama-duka", zone=everything().timezone)
    assert 'customer: {text: "qwerty asdf", intent: "complain"}' in text
    (tmp_path / "app.yaml").touch()
    transcript_stage.take(tmp_path, everything())
    (transcript,) = parse_transcripts(text, file=str(tmp_path / "tests" / "explored.test.yaml"))
    assert transcript_stage.play(transcript).failure is None
    again = write_transcript(transcript, transcript_stage.watch(transcript), name="b")
    assert "customer: {text: qwerty asdf, intent: complain}" in again


def test_the_places_of_the_flows_are_tried() -> None:
    files = files_of("flow: a\nstarts_when: [{any: true}]\nslots: {where: {type: place_read}}\nstates:\n" + WHERE)
    files["flows/app.yaml"] += b"\nplaces: {thika: [Thika, Thika town]}\n"

    found = explore(build_bundle(files, CATALOGUE), depth=4)

    (path,) = [path for way, path in found.shortest.items() if str(way) == "a.ask -- place --> a.done"]
    assert [step for turn in path for step in turn.written or ()][-1] == {"customer": "Thika"}


def test_there_is_a_phrase_for_every_entity() -> None:
    assert {name: bool(phrases_for(everything(), name)) for name in CATALOGUE.entities} == dict.fromkeys(CATALOGUE.entities, True)
    assert set(phrases_for(everything(), "basket_edit")) <= set(PHRASES)


def test_a_call_ends_only_as_the_order_allows() -> None:
    pretend = Pretend(CATALOGUE)
    confirm = CATALOGUE.calls["orders.confirm"]
    draft, paid = World(status="DRAFT", filled=True), World(status="PAID")
    assert {each.outcome for each in pretend.endings(confirm, {}, draft)} == {"ok", "changed", "out_of_stock", "empty", "error"}
    assert {each.outcome for each in pretend.endings(confirm, {}, paid)} == {"locked"}
    assert [each.outcome for each in pretend.endings(confirm, {}, draft) if each.natural] == ["ok"]
    push = CATALOGUE.calls["payments.stk_push"]
    confirmed = World(status="CONFIRMED", filled=True)
    assert "busy" not in {each.outcome for each in pretend.endings(push, {}, confirmed)}
    assert "busy" in {each.outcome for each in pretend.endings(push, {}, World(status="CONFIRMED", attempt=1))}


def test_samples_and_shapes_follow_the_type() -> None:
    kind = Fields(name="thing", fields={"count": INT, "words": ListOf(item=OneOf(values=("a", "b"))), "maybe": OrNone(type=INT)})
    assert sample(kind) == {"count": 1, "words": ["a"], "maybe": 1}
    assert sample(kind, empty=True) == {"count": 0, "words": [], "maybe": None}
    assert shape(sample(kind)) == {"count": True, "words": [True], "maybe": True}
    assert shape(sample(kind, empty=True)) == {"count": False, "words": [], "maybe": None}


def test_a_slot_counts_as_long_as_anything_may_read_it() -> None:
    flows = shop_bundle().flows
    live = live_slots(flows["shop"])
    assert live["cart"] == {"page"}  # `edit` is set anew before `change` reads it
    assert not live["receipt"]
    assert live["quantity"] == {"page", "product"}
    assert live["browse"] == {"page", "shelf"}  # what the state has set before it asks
    support = live_slots(flows["support"])
    assert {"shop", "what", "items", "day", "notes"} <= support["details"]  # known answers are not asked again
    assert live_slots(flows["pick_branch"])["none_of_them"] == {"branch"}  # what the flow gives
