"""The index of docs/checks/. `python -m conversation.authoring.check_codes_page > docs/checks/README.md` writes it."""

import sys

from conversation.authoring.codes import CODES, ELSEWHERE

_FAMILIES = {
    "Y": "Files and keys", "T": "States", "C": "Calls and events", "X": "Expressions", "R": "Replies", "W": "WhatsApp",
    "L": "Languages", "P": "Money", "S": "Privacy", "H": "Hygiene (warnings)", "V": "Publishing",
}  # fmt: skip


def index_page() -> str:
    """One line a code, by family."""
    lines = [
        "# What `soko flow check` finds",
        "",
        "Each page has the cause, an example, and how to mend it; `soko flow check --explain P1` prints it.",
    ]
    family = ""
    for code, about in {**CODES, **ELSEWHERE}.items():
        if code[0] != family:
            family = code[0]
            lines += ["", f"## {_FAMILIES[family]}", "", "| code | what |", "|---|---|"]
        lines.append(f"| [{code}]({code}.md) | {about} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(index_page())
