"""How long `soko flow check` takes: the shop, and a flow of 200 states.

`./run bench checks` prints one line each.
"""

import sys
import time
from pathlib import Path
from typing import Final

from conversation.authoring.load import check_files
from conversation.services import CATALOGUE

FLOWS: Final = Path(__file__).parents[1] / "flows"
STATES: Final = 200
ROUNDS: Final = 3
APP: Final = b"""app: soko
languages: {base: en}
timezone: Africa/Nairobi
channel: whatsapp
flows: [big]
trouble: Sorry.
"""


def big_flow() -> str:
    """A chain of questions with commands, guards, expiry and ways back: what a large shop would have."""
    lines = [
        "flow: big",
        "starts_when: [{any: true}]",
        "slots: {edit: {type: basket_edit}}",
        f"conversation: {{expires: {{after: 12h, to: s{STATES}}}}}",
        "commands:",
        "  help: {words: [help], say: Type a number., then: resume}",
        "  cart: {words: [cart], go: s1}",
        "states:",
    ]
    for n in range(STATES):
        lines += [
            f"  s{n}:",
            f"    redirect: [{{if: order.is_paid, to: s{STATES}}}]",
            f"    ask: {{text: 'Question {n}: {{{{ order.total | kes }}}}?', buttons: {{yes: Go on, no: Back}}}}",
            "    replies:",
            f"      - {{choice: yes, words: [w{n}], go: [{{if: order.lines, to: s{min(n + 1, STATES)}}}, s{max(n - 5, 0)}]}}",
            f"      - {{choice: no, go: s{max(n - 1, 0)}}}",
            f"      - {{entity: basket_edit, as: edit, go: s{(n * 7) % STATES}}}",
            f"    unmatched: {{say: Sorry?, tries: 3, then: s{STATES}}}",
        ]
    lines.append(
        f"  s{STATES}: {{say: '{{{{ edit.unknown | join }}}}', end: done}}".replace("{{ edit.unknown | join }}", "Goodbye.")
    )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Print the best of a few rounds; the first one also starts everything up."""
    shop = {
        f"flows/{path.relative_to(FLOWS).as_posix()}": path.read_bytes()
        for path in [*FLOWS.glob("*.yaml"), *(FLOWS / "text").glob("*.yaml")]
    }
    big = {"flows/app.yaml": APP, "flows/big.yaml": big_flow().encode()}
    for name, files in (("the shop", shop), (f"a flow of {STATES} states", big)):
        taken: list[float] = []
        for _ in range(ROUNDS):
            started = time.perf_counter()
            found = check_files(files, CATALOGUE)
            taken.append(time.perf_counter() - started)
            if any(not problem.warns for problem in found.problems):
                raise SystemExit("\n".join(map(str, found.problems)))
        sys.stdout.write(f"{name}: {taken[0] * 1000:.0f} ms the first time, {min(taken) * 1000:.0f} ms again\n")


if __name__ == "__main__":
    main()
