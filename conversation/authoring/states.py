"""Reading one state: what it does, what it asks, and every way out of it."""

from typing import Final

from conversation.authoring.expression_types import Scope
from conversation.authoring.forms import FormReader
from conversation.authoring.nodes import Items, Map, Node, Scalar
from conversation.authoring.parts import FlowNames
from conversation.authoring.problems import Source, suggest
from conversation.authoring.questions import Asked
from conversation.authoring.reading import Shared
from conversation.authoring.way_names import edges_of
from conversation.engine.flow import (
    After,
    Check,
    Choice,
    Command,
    Edge,
    Redirect,
    Reply,
    State,
    ToPeople,
    Unmatched,
    Visits,
    WaitFor,
)
from conversation.engine.lexicon import build_lexicon
from conversation.engine.match import is_consent_word
from conversation.engine.patterns import LONGEST_MESSAGE, Pattern, PatternError, compile_pattern
from conversation.engine.types import Fields, OneOf, Type
from conversation.engine.types import Scalar as ScalarType

STATE: Final = (
    "redirect", "do", "say", "ask", "wait", "form", "correct", "handoff", "back", "replies", "unmatched", "commands",
    "outcomes", "after",    "visits", "go", "end",
)  # fmt: skip
KINDS: Final = ("choice", "picked", "consent", "entity", "pattern", "intent", "any")
_CODE: Final = ScalarType(name="string", longest=LONGEST_MESSAGE)
_NO_PRODUCTS: Final = build_lexicon(())


class StateReader(FormReader):
    """Reads one state of the flow."""

    def __init__(self, shared: Shared, source: Source, names: FlowNames, commands: dict[str, Command], scope: Scope) -> None:
        super().__init__(shared, source, names, scope)
        self.commands = commands

    def state(self, key: Scalar, node: Node) -> State | None:
        """Read it whole."""
        found = self.map(node, "a state", STATE)
        if found is None:
            return None
        place = f"{self.names.flow}.{key.text}"
        self._check_shape(key, found)
        entered = self._entered(found.get("redirect"))
        still = entered if found.get("do") is None else self.scope
        asked = self.within(still).question(found.get("ask"), place) if found.get("ask") is not None else None
        state = State(
            name=key.text,
            at=key.at,
            visits=self._visits(found.get("visits")),
            redirects=self._redirects(found.get("redirect"), place),
            do=self.actions(found.get("do"), place, self.scope, entered),
            say=self.say(found.get("say"), f"{place}.say", still),
            ask=asked.ask if asked else None,
            wait=self._wait(found, place) if found.get("wait") is not None else None,
            form=self.form(found, place) if found.get("form") is not None else None,
            people=self._handoff(found, place) if found.get("handoff") is not None else None,
            replies=self._replies(found, asked, place) if asked else (),
            unmatched=self._unmatched(found.get("unmatched"), place) if found.get("unmatched") is not None else None,
            commands=self._narrowed(found, place),
            after=self._after(found.get("after"), place),
            go=self.go(way, still) if (way := found.get("go")) is not None else (),
            end=end.text if (end := self.word(found.get("end"), "the result")) is not None else None,
        )
        self._check_splits(state)
        return state

    def _check_splits(self, state: State) -> None:
        """One draw decides a state for ever, so two different splits in it would always fall together."""
        ways = (state.go, *(edge.go for _, edge in edges_of(state)))
        splits = {tuple((branch.to, branch.share) for branch in way): way[0].at for way in ways if way and way[0].share}
        for at in list(splits.values())[1:]:
            message = f"a conversation draws once in a state: `{state.name}` has another `split` already"
            self.add("T3", at, message, "go to a state of its own for this one")

    def _check_shape(self, key: Scalar, node: Map) -> None:
        waits = [name for name in ("ask", "wait", "form", "handoff") if node.get(name) is not None]
        ways = [name for name in ("go", "end") if node.get(name) is not None]
        if len(waits) > 1:
            self.add("W5", node.key(waits[1]), f"a state stops once: it has `{waits[0]}` already", "make it two states")
        if waits in (["ask"], ["wait"]) and ways:
            self.add("T3", node.key(ways[0]), f"the turn stops at `{waits[0]}`: `{ways[0]}` would never be reached")
        back = node.get("back") is not None
        if waits == ["handoff"] and (ways != ["end"] if not back else bool(ways)):
            self.add("T3", node.key("handoff"), "a handoff ends the flow with `end`, or waits and goes `back`", "one of the two")
        if waits in ([], ["form"]) and len(ways) != 1:
            stops = (
                "stops when its form is filled: it needs `go` or `end`" if waits else "stops without `ask`, `wait`, `go` or `end`"
            )
            message = "has both `go` and `end`" if ways else stops
            self.add("T3", key, f"`{key.text}` {message}")
        for name, owner in (("replies", "ask"), ("outcomes", "wait"), ("correct", "form"), ("back", "handoff")):
            if node.get(name) is not None and owner not in waits:
                self.add("Y2", node.key(name), f"`{name}` belongs to `{owner}`, which this state has not")
        for name in ("unmatched", "commands", "after"):
            with_people = waits == ["handoff"] and back and name != "unmatched"
            if node.get(name) is not None and not {"ask", "wait", "form"} & set(waits) and not with_people:
                self.add("Y2", node.key(name), f"`{name}` belongs to a state with `ask`, `form` or `wait`")
        if waits == ["ask"] and node.get("replies") is None:
            self.add("T5", node.key("ask"), "this question has no `replies`: no customer could leave it")
        if waits == ["wait"] and node.get("after") is None:
            self.add("T5", node.key("wait"), "a `wait` needs `after`: events get lost, and this customer would wait for ever")

    # --- the small keys

    def _visits(self, node: Node | None) -> Visits | None:
        found = self.map(node, "`visits`", ("max", "then"))
        if found is None:
            return None
        most = self.number(self.need(found, "max", "`visits`"), "`max`", least=1, most=1000)
        then = self.target(self.need(found, "then", "`visits`"))
        return Visits(most=most, then=then, at=found.at) if most and then else None

    def _redirects(self, node: Node | None, place: str) -> tuple[Redirect, ...]:
        redirects: list[Redirect] = []
        for index, item in enumerate(self.items(node, "`redirect`"), 1):
            found = self.map(item, "a redirect", ("if", "to", "say"))
            if found is None:
                continue
            condition = self.condition(self.need(found, "if", "a redirect"), self.scope)
            to = self.need(found, "to", "a redirect")
            say = self.say(found.get("say"), f"{place}.redirect.{index}.say", self.scope)
            go = self.go(to, self.scope) if isinstance(to, Scalar) else ()
            if condition and go:
                redirects.append(Redirect(condition=condition[0], edge=Edge(do=(), say=say, go=go, at=item.at)))
        return tuple(redirects)

    def _entered(self, node: Node | None) -> Scope:
        """What is known behind the redirects: none of them holds."""
        scope = self.scope
        for item in node.items if isinstance(node, Items) else ():
            guard = item.get("if") if isinstance(item, Map) else None
            read = self.parse(guard) if isinstance(guard, Scalar) else None
            scope = scope.unless(read) if read is not None else scope
        return scope

    def _unmatched(self, node: Node | None, place: str) -> Unmatched | None:
        found = self.map(node, "`unmatched`", ("say", "tries", "then"))
        if found is None:
            return None
        tries = self.number(found.get("tries"), "`tries`", least=1, most=100)
        then = self.target(found.get("then"))
        if (found.get("tries") is None) != (found.get("then") is None):
            self.add("T3", found, "`tries` and `then` belong together: how often, and where to after that")
        return Unmatched(
            say=self.say(found.get("say"), f"{place}.unmatched.say", self.scope), tries=tries, then=then, at=found.at
        )

    def _after(self, node: Node | None, place: str) -> tuple[After, ...]:
        found = self.map(node, "`after`") if node is not None else None
        timers: list[After] = []
        for key, value in found.entries if found else ():
            seconds = self.duration(key, "a key of `after`")
            edge = self.edge(value, f"{place}.after.{key.text}", self.scope)
            if seconds and edge:
                timers.append(After(name=f"after:{key.text}", seconds=seconds, edge=edge, at=key.at))
        return tuple(timers)

    def _handoff(self, state: Map, place: str) -> ToPeople | None:
        found = self.map(state.get("handoff"), "`handoff`", ("queue", "note"))
        if found is None:
            return None
        queue = self.word(self.need(found, "queue", "`handoff`"), "the queue")
        note = self.text(self.need(found, "note", "`handoff`"), f"{place}.handoff.note", self.scope)
        way = state.get("back")
        back = self.edge(way, f"{place}.back", self.scope) if way is not None else None
        return ToPeople(queue=queue.text, note=note, back=back, at=found.at) if queue and note else None

    def _narrowed(self, state: Map, place: str) -> tuple[Command, ...]:
        """The flow's commands, or `only` some of them, with this state's own answers to them. With people: none but these."""
        node = state.get("commands")
        found = self.map(node, "`commands`", ("only", *self.commands)) if node is not None else None
        kept = set(self.commands) if state.get("handoff") is None else set[str]()
        if found is None:
            return tuple(command for command in self.commands.values() if command.name in kept)
        if found.get("only") is not None:
            names = [self.name(item, "command", self.commands) for item in self.items(found.get("only"), "`only`")]
            kept = {name for name in names if name is not None}
        own: dict[str, Command] = {}
        for key, value in found.entries:
            if key.text == "only" or key.text not in self.commands:
                continue
            edge = self.edge(value, f"{place}.commands.{key.text}", self.scope)
            if edge is not None:
                own[key.text] = Command(name=key.text, words=self.commands[key.text].words, edge=edge, at=key.at)
        return tuple(own.get(name, command) for name, command in self.commands.items() if name in kept or name in own)

    def _wait(self, state: Map, place: str) -> WaitFor | None:
        found = self.map(state.get("wait"), "`wait`", ("for", "where"))
        if found is None:
            return None
        event = self.name(self.need(found, "for", "`wait`"), "event", self.catalogue.events, "C1")
        if event is None:
            return None
        spec = self.catalogue.events[event]
        where = self.map(self.need(found, "where", "`wait`"), "`where`", (spec.key,))
        key = self.value(self.need(where, spec.key, "`where`"), self.scope, f"`{spec.key}`") if where else None
        carried = Fields(name=event, fields={**spec.carries.fields, "outcome": OneOf(values=tuple(spec.outcomes))})
        scope = self.scope.plus({"event": carried})
        outcomes: dict[str, Edge] = {}
        seen: set[str] = set()
        for outcome_key, name, value in self.outcomes(state.get("outcomes"), "`outcomes`"):
            if self._outcome(outcome_key, name, seen, set(spec.outcomes), f"`{event}`", set(spec.outcomes)):
                edge = self.edge(value, f"{place}.outcomes.{name}", scope)
                if edge is not None:
                    outcomes[name] = edge
        missing = [name for name in spec.outcomes if name not in seen]
        if missing:
            self.add("C6", found, f"`{event}` can also end in {' and '.join(missing)}", "add it under `outcomes`")
        return (
            WaitFor(event=event, key=key[0], outcomes=outcomes, at=found.at)
            if key and len(outcomes) + len(missing) == len(spec.outcomes)
            else None
        )

    # --- the replies

    def _replies(self, state: Map, asked: Asked, place: str) -> tuple[Reply, ...]:
        items = self.items(state.get("replies"), "`replies`")
        replies = [reply for item in items if (reply := self._reply(item, asked, place)) is not None]
        if len(replies) == len(items):  # what a misread reply would have handled is no second mistake
            self._check_choices(asked, replies)
        return tuple(replies)

    def _reply(self, node: Node, asked: Asked, place: str) -> Reply | None:
        found = self.map(node, "a reply", (*KINDS, "words", "as", "check", *self.EDGE))
        if found is None:
            return None
        kinds = [kind for kind in KINDS if found.get(kind) is not None]
        words, written = self.words(found.get("words"), "`words`")
        self._check_words(written)
        if len(kinds) > 1 or (not kinds and not written):
            self.add(
                "Y2", node, "a reply is one of `choice`, `picked`, `consent`, `entity`, `pattern`, `intent`, `any` or `words`"
            )
            return None
        kind = kinds[0] if kinds else "words"
        word = self.word(found.get(kind), f"`{kind}`") if kinds else written[0]
        if word is None:
            return None
        known = {
            "consent": (self.catalogue.consents, "C1"),
            "entity": (self.catalogue.entities, "C1"),
            "intent": (self.shared.intents, "Y2"),
        }
        if kind == "any" and not self.flag(word, "`any`"):
            self.add("Y2", word, "a reply that is never taken: write `any: true`, or leave it out")
            return None
        pattern = self._pattern(word) if kind == "pattern" else None
        if (kind in known and self.name(word, kind, *known[kind]) is None) or (kind == "pattern" and pattern is None):
            return None  # what else reads this reply wrongly follows from it
        name = word.text if kind not in ("picked", "pattern", "any") else kind
        into, value = self._value(kind, word, found, asked)
        scope = self.scope.plus({into: value} if into and value else {})
        check = self._check(found.get("check"), f"{place}.replies.{name}", scope) if found.get("check") is not None else None
        edge = self._reply_edge(found, f"{place}.replies.{name}", scope)
        if edge is None:
            return None
        return Reply(
            name=name,
            edge=edge,
            at=word.at,
            choice=word.text if kind == "choice" else None,
            picked=kind == "picked",
            consent=word.text if kind == "consent" else None,
            entity=word.text if kind == "entity" else None,
            pattern=pattern,
            intent=word.text if kind == "intent" else None,
            anything=kind == "any",
            words=words,
            into=into,
            check=check,
        )

    def _value(self, kind: str, word: Scalar, found: Map, asked: Asked) -> tuple[str | None, Type | None]:
        """Where the reply's value goes: a slot, or a name known in this reply only."""
        kept = self.word(found.get("as"), "`as`")
        if kind == "picked":
            if asked.item is None:
                self.add("R1", word, "nothing can be picked here: the list has no rows with `each`")
                return None, None
            return self.fill(word, asked.item, "the picked row"), asked.item
        if kind not in ("pattern", "any") and (kind != "entity" or word.text not in self.catalogue.entities):
            if kept is not None:
                self.add("Y2", kept, "`as` belongs to an `entity`, a `pattern` or `any`")
            return None, None
        value = self.catalogue.entities[word.text].type if kind == "entity" else _CODE
        if kept is None:
            return None, None
        if kept.text in self.names.slots:
            return self.fill(kept, value, f"`{word.text}`"), value
        if not kept.text.isidentifier() or kept.text in self.scope.names:
            self.add("Y2", kept, f"`{kept.text}` cannot be used as a name here", suggest(kept.text, self.names.slots))
            return None, None
        return kept.text, value

    def _pattern(self, word: Scalar) -> Pattern | None:
        try:
            return compile_pattern(word.text)
        except PatternError as error:
            self.add("X1", word, str(error))
            return None

    def _check(self, node: Node | None, place: str, scope: Scope) -> Check | None:
        found = self.map(node, "`check`", ("if", "else"))
        if found is None:
            return None
        condition = self.condition(self.need(found, "if", "`check`"), scope)
        otherwise = self.text(self.need(found, "else", "`check`"), f"{place}.check", scope)
        return Check(condition=condition[0], otherwise=otherwise) if condition and otherwise else None

    def _reply_edge(self, found: Map, place: str, scope: Scope) -> Edge | None:
        return self.edge(found, place, scope, (*KINDS, "words", "as", "check"))

    def _check_words(self, written: list[Scalar]) -> None:
        for word in written:
            for consent in self.catalogue.consents.values():
                if is_consent_word(word.text, consent.words):
                    self.add("R2", word, f"{consent.words[0]} is a consent word: only a `consent` reply may use it")

    def _check_choices(self, asked: Asked, replies: list[Reply]) -> None:
        handled: set[str] = set()
        for later in [reply for reply in replies if reply.anything][1:]:
            self.add("X5", later.at, "the first `any` takes every message: this one is never reached")
        for reply in replies:
            if reply.choice is not None:
                if reply.choice not in asked.ids:
                    self.add("R1", reply.at, f"this question shows no choice `{reply.choice}`", suggest(reply.choice, asked.ids))
                if reply.choice in handled:
                    self.add("R1", reply.at, f"`{reply.choice}` is handled twice: the second is never reached")
                handled.add(reply.choice)
        if asked.ask.each is not None and not any(reply.picked for reply in replies):
            self.add("R3", asked.ask.each.at, "a picked row leads nowhere", "add a reply such as {picked: product, go: …}")
        for choice in asked.choices:
            self._check_choice(choice, replies, handled=choice.id in handled)
        more = asked.ask.more
        if more is not None and more.id is not None and more.id not in handled:
            self.add("R3", more.title.at, f"`{more.id}` is shown and leads nowhere", f"add a reply {{choice: {more.id}, go: …}}")

    def _check_choice(self, choice: Choice, replies: list[Reply], *, handled: bool) -> None:
        titles = [template.constant for template in choice.title.templates.values()]
        for consent in self.catalogue.consents.values():
            says_consent = [title is not None and is_consent_word(title, consent.words) for title in titles]
            if any(says_consent) and handled:
                self.add("R2", choice.at, f"{consent.words[0]} is a consent word: answer it by {{consent: {consent.name}}}")
            if any(says_consent) and any(reply.consent == consent.name for reply in replies):
                if not all(says_consent):
                    self.add("L2", choice.at, f"this button must be titled {consent.words[0]} in every language")
                return
        if handled or any(self._reads(reply, titles) for reply in replies):
            return
        self.add("R3", choice.at, f"`{choice.id}` is shown and leads nowhere", f"add a reply {{choice: {choice.id}, go: …}}")

    def _reads(self, reply: Reply, titles: list[str | None]) -> bool:
        if reply.entity is None:
            return reply.anything
        read = self.catalogue.entities[reply.entity].read
        return all(title is not None and read(title, _NO_PRODUCTS) is not None for title in titles)
