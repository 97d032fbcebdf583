"""Bring the expectations of a transcript up to date in its file: only what differs is written, comments and layout stay.

What customers and M-Pesa do is never touched, nor what is said about effects that should or should not have been:
these are for a person to look at.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Final

from ruamel.yaml.nodes import MappingNode, Node, SequenceNode

from conversation.authoring import transcript_yaml as nodes
from conversation.authoring.matching import Reply, differences, fits_text
from conversation.authoring.transcripts import (
    Act,
    BotSays,
    BotSaysAnything,
    BotSaysNothing,
    Expect,
    Said,
    Transcript,
)
from conversation.engine.values import JSON
from soko.replay.expectations import to_text
from soko.replay.play import Watched
from soko.replay.write_transcript import Parts, write_reply

REWRITTEN: Final = ("state", "order", "ended", "slots", "effects", "effects_total")


@dataclass(frozen=True, kw_only=True)
class _Edit:
    """Characters `start` to `end` of the file become `text`."""

    start: int
    end: int
    text: str


def rewrite(source: str, seen: Sequence[tuple[Transcript, Watched]]) -> str:
    """Return the file with what these of its transcripts would have to expect. A `chat` in brackets is left alone."""
    documents = {nodes.line_of(node): node for node in nodes.compose(source)}
    edits: list[_Edit] = []
    for transcript, watched in seen:
        chat = dict(nodes.read_pairs(documents[transcript.line], "a test"))["chat"]
        if isinstance(chat, SequenceNode) and not chat.flow_style:
            edits += _Rewriting(source, transcript, watched, list(chat.value)).edits()
    edits.sort(key=lambda edit: (edit.start, edit.end))  # stable: lines added at one place keep their order
    for edit in reversed(edits):
        source = source[: edit.start] + edit.text + source[edit.end :]
    return source


class _Rewriting:
    """One transcript. `steps` are the nodes of its chat."""

    def __init__(self, source: str, transcript: Transcript, watched: Watched, steps: Sequence[Node]) -> None:
        self.source, self.flow, self.watched = source, transcript.flow, watched
        self.steps = list(zip(transcript.chat, steps, strict=True))

    def edits(self) -> list[_Edit]:
        acts = [n for n, (step, _) in enumerate(self.steps) if isinstance(step, Act)]
        found: list[_Edit] = []
        for scene, first, end in zip(self.watched.scenes, acts, [*acts[1:], len(self.steps)], strict=False):
            found += self._replies(first, end, [line for line in scene if isinstance(line, Reply)])
        expects = [(step, node) for step, node in self.steps if isinstance(step, Expect)]
        for (step, node), now in zip(expects, self.watched.expects, strict=False):
            found += self._facts(node, step, now)
        return found

    # --- replies

    def _replies(self, first: int, end: int, replies: Sequence[Reply]) -> list[_Edit]:
        """Change as few lines as may be. `first` is the step that the replies answer."""
        said = [(n, step) for n, (step, _) in enumerate(self.steps[first:end], first) if isinstance(step, Said)]
        changes = _align([step for _, step in said], replies, flow=self.flow)
        if not changes:
            return []
        left = len(said) + sum(change.adds - change.drops for change in changes)
        found: list[_Edit] = []
        for change in changes:
            step, reply = said[change.at : change.at + 1], change.reply
            if change.drops and (reply is not None or left == 0):
                text = "nothing" if reply is None else write_reply(reply, parts=_parts(step[0][1], reply, self.flow))
                found.append(self._instead(step[0][0], text))
                left += reply is None
            elif change.drops:
                found.append(self._without(step[0][0]))
            elif reply is not None:
                after = said[change.at - 1][0] if change.at else first
                found.append(self._added(after, f"- bot: {write_reply(reply, parts=Parts(flow=self.flow))}"))
        return found

    def _instead(self, n: int, text: str) -> _Edit:
        value = dict(nodes.read_pairs(self.steps[n][1], "a step"))["bot"]
        return _Edit(start=value.start_mark.index, end=_end(self.source, value), text=text)

    def _without(self, n: int) -> _Edit:
        """Take out whole lines."""
        node = self.steps[n][1]
        start = self.source.rindex("\n", 0, node.start_mark.index) + 1
        return _Edit(start=start, end=self._line_end(node), text="")

    def _added(self, n: int, text: str) -> _Edit:
        """Put a line under a step."""
        node = self.steps[n][1]
        line = self.source[self.source.rindex("\n", 0, node.start_mark.index) + 1 : node.start_mark.index]
        at = self._line_end(node)
        return _Edit(start=at, end=at, text=f"{line[: line.index('-')]}{text}\n")

    def _line_end(self, node: Node) -> int:
        found = self.source.find("\n", _end(self.source, node))
        return len(self.source) if found < 0 else found + 1

    # --- what must be true

    def _facts(self, node: Node, was: Expect, now: Expect) -> list[_Edit]:
        written = dict(nodes.read_pairs(dict(nodes.read_pairs(node, "a step"))["expect"], "expect"))
        found: list[_Edit] = []
        for name in REWRITTEN:
            before, after = getattr(was, name), getattr(now, name)
            if before == after or name not in written:
                continue
            if isinstance(after, Mapping) and isinstance(written[name], MappingNode):
                values = dict(nodes.read_pairs(written[name], name))
                found += [self._value(values[key], value) for key, value in after.items() if value != before[key]]
            else:
                found.append(self._value(written[name], list(after) if isinstance(after, tuple) else after))
        return found

    def _value(self, node: Node, value: JSON) -> _Edit:
        return _Edit(start=node.start_mark.index, end=_end(self.source, node), text=_plain(value))


def _end(source: str, node: Node) -> int:
    """Where a node's own text ends: a block ends with its last line, not where the next thing begins."""
    if isinstance(node, MappingNode | SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        return _end(source, last[1] if isinstance(last, tuple) else last)
    return len(source[: node.end_mark.index].rstrip())


def _plain(value: JSON) -> str:
    """Names without quotes, lists as people write them."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(_plain(item) for item in value)}]"
    return value if isinstance(value, str) and value.replace(".", "").replace("_", "").isalpha() else to_text(value)


def _parts(said: Said, reply: Reply, flow: str) -> Parts:
    """Look at the same parts of a reply as before; texts that still fit stay as they are."""
    if not isinstance(said, BotSays):
        return Parts(flow=flow)
    text = said.text if all(fits_text(match, reply.text) for match in said.text) else None
    whole = said.at is None and said.buttons is None and said.menu_button is None and said.menu_rows is None
    return Parts(
        flow=flow,
        place=said.at is not None,
        text=whole or bool(said.text),
        buttons=said.buttons is not None,
        menu=said.menu_button is not None or said.menu_rows is not None,
        kept=text if said.text else None,
    )


# ---------------------------------------------------------------- which lines to change


@dataclass(frozen=True, kw_only=True)
class _Change:
    """At the expected line `at`: it goes, or `reply` comes, or both: it becomes another one."""

    at: int
    drops: bool
    reply: Reply | None

    @property
    def adds(self) -> bool:
        """Whether a line is there afterwards."""
        return self.reply is not None


def _align(expected: Sequence[Said], replies: Sequence[Reply], *, flow: str) -> tuple[_Change, ...]:
    """The fewest changes after which every reply is accounted for."""

    @cache
    def best(i: int, j: int) -> tuple[int, tuple[_Change, ...]]:
        wanted = expected[i] if i < len(expected) else None
        reply = replies[j] if j < len(replies) else None
        if wanted is None and reply is None:
            return 0, ()
        ways: list[tuple[int, tuple[_Change, ...]]] = []

        def way(cost: int, at: tuple[int, int], *changes: _Change) -> None:
            rest = best(*at)
            ways.append((cost + rest[0], (*changes, *rest[1])))

        match wanted:
            case BotSaysAnything():
                way(0, (i + 1, j))
                if reply is not None:
                    way(0, (i, j + 1))
            case BotSaysNothing() if reply is None:
                way(0, (i + 1, j))
            case BotSays() if reply is not None and not differences(wanted, reply, flow=flow):
                way(0, (i + 1, j + 1))
            case _:
                pass
        if wanted is not None and reply is not None:
            way(2, (i + 1, j + 1), _Change(at=i, drops=True, reply=reply))
        if wanted is not None:
            way(2, (i + 1, j), _Change(at=i, drops=True, reply=None))
        if reply is not None:
            way(2, (i, j + 1), _Change(at=i, drops=False, reply=reply))
        return min(ways, key=lambda each: each[0])

    return best(0, 0)[1]
