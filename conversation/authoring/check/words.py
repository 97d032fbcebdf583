"""R2: one word that means two things."""

from conversation.authoring.problems import Problems
from conversation.engine.flow import Bundle, Flow, State
from conversation.engine.match import is_consent_word
from conversation.engine.normalise import normalise


def check_words(bundle: Bundle, flow: Flow, problems: Problems) -> None:
    """Report words shared by two commands, by two replies of a state, by a reply and a command, or with a consent."""
    for state in flow.states.values():
        _check_state(state, problems)
    commands = {id(command): command for state in flow.states.values() for command in state.commands}
    for consent in bundle.catalogue.consents.values():
        owners = [(each.at, each.words) for each in commands.values()] + [(each.at, each.words) for each in flow.starts]
        for at, words in owners:
            if any(is_consent_word(word, consent.words) for word in words):
                problems.add("R2", at, f"{consent.words[0]} is a consent word: only a `consent` reply may use it")


def check_starts(bundle: Bundle, problems: Problems) -> None:
    """Report words that start two flows, or that start a flow and are a command of it that leads elsewhere."""
    taken: dict[str, str] = {}
    for flow in bundle.flows.values():
        for start in flow.starts:
            shared = sorted(word for word in start.words if word in taken)
            if shared:
                problems.add("R2", start.at, f"`{shared[0]}` already starts the flow `{taken[shared[0]]}`")
            taken.update(dict.fromkeys(start.words, flow.name))
            _check_start(flow, start.words, start.go or flow.first, problems)


def _check_start(flow: Flow, words: frozenset[str], first: str, problems: Problems) -> None:
    commands = {command.name: command for state in reversed(list(flow.states.values())) for command in state.commands}
    for command in commands.values():
        both = sorted(words & command.words)
        if both and [branch.to for branch in command.edge.go] != [first]:
            problems.add("R2", command.at, f"`{both[0]}` also starts the flow, at `{first}`")


def _check_state(state: State, problems: Problems) -> None:
    taken: dict[str, str] = {}
    titles = _titles(state)
    for reply in state.replies:
        for word in sorted(reply.words):
            if titles.get(word, reply.choice) != reply.choice:
                problems.add("R2", reply.at, f"`{word}` already means the choice `{titles[word]}`, which shows it")
            if word in taken:
                problems.add("R2", reply.at, f"`{word}` already means {taken[word]} in this state")
            taken.setdefault(word, f"the reply `{reply.name}`")
    for command in state.commands:
        for word in sorted(command.words):
            if word in taken:
                problems.add("R2", command.at, f"`{word}` already means {taken[word]} in `{state.name}`")
            taken.setdefault(word, f"the command `{command.name}`")


def _titles(state: State) -> dict[str, str]:
    """What the question's choices show, in every language."""
    titles: dict[str, str] = {}
    for choice in (*state.ask.buttons, *state.ask.fixed) if state.ask is not None else ():
        for template in choice.title.templates.values():
            if template.constant is not None:
                titles.setdefault(normalise(template.constant), choice.id)
    return titles
