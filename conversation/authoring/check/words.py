"""R2: one word that means two things."""

from conversation.authoring.problems import Problems
from conversation.engine.flow import Flow


def check_words(flow: Flow, problems: Problems) -> None:
    """Report words shared by two commands, by two replies of a state, or by a reply and a command."""
    for state in flow.states.values():
        taken: dict[str, str] = {}
        for reply in state.replies:
            for word in sorted(reply.words):
                if word in taken:
                    problems.add("R2", reply.at, f"`{word}` already means {taken[word]} in this state")
                taken.setdefault(word, f"the reply `{reply.name}`")
        for command in state.commands:
            for word in sorted(command.words):
                if word in taken:
                    problems.add("R2", command.at, f"`{word}` already means {taken[word]} in `{state.name}`")
                taken.setdefault(word, f"the command `{command.name}`")
