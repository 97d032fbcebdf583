"""How long `soko flow check` takes: the shop, a flow of 200 states, and files that are traps.

`./run bench checks` prints a line each; reading by ruamel.yaml alone, as it was before libyaml read first, is beside it.
"""

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final

from conversation.authoring.load import check_files
from conversation.authoring.nodes import Composer, parse_exactly, parse_quickly
from conversation.authoring.problems import Source
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


def _traps() -> Iterator[tuple[str, bytes]]:
    """Files as large as is allowed, whose trap stands at their end, and files that are the trap."""
    filler = "".join(f"k{n}: {'x' * 20}\n" for n in range(8_400))
    yield "a key twice at the end of 240 kB", f"{filler}k1: again\n".encode()
    yield "a tag at the end of 240 kB", f"{filler}z: !!python/name:os.system x\n".encode()
    yield "a merge key at the end of 240 kB", f"{filler}z: {{<<: y}}\n".encode()
    yield "25 deep at the end of 240 kB", f"{filler}z: {'{a: ' * 25}{'}' * 25}\n".encode()
    yield "thousands of open brackets", b"a: " + b"[" * 100_000
    yield "a file of 2 MB", b"a: b\n" * 400_000
    laughs = "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 9))
    yield "anchors of anchors", f"a0: &a0 [ha]\n{laughs}".encode()


def _best(run: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Milliseconds: of the first time, and of the best of some more."""
    taken: list[float] = []
    for _ in range(rounds + 1):
        started = time.process_time()
        run()
        taken.append((time.process_time() - started) * 1000)
    return taken[0], min(taken[1:])


def _read(files: Mapping[str, bytes], parse: Callable[[Source], Iterator[Any]]) -> None:
    for file, data in files.items():
        text = data.decode()
        source = Source(file=file, text=text, lines=tuple(text.split("\n")))
        Composer(source, parse(source)).compose()


def main() -> None:
    """Print processor time: the first time (after start-up), and the best of a few more."""
    shop = {
        f"flows/{path.relative_to(FLOWS).as_posix()}": path.read_bytes()
        for path in [*FLOWS.glob("*.yaml"), *(FLOWS / "text").glob("*.yaml")]
    }
    big = {"flows/app.yaml": APP, "flows/big.yaml": big_flow().encode()}
    for name, files in (("the shop", shop), (f"a flow of {STATES} states", big)):
        first, best = _best(partial(check_files, files, CATALOGUE))
        found = check_files(files, CATALOGUE)
        if any(not problem.warns for problem in found.problems):
            raise SystemExit("\n".join(map(str, found.problems)))
        sys.stdout.write(f"{name}: {first:.0f} ms the first time, {best:.0f} ms again\n")
        _, quickly = _best(partial(_read, files, parse_quickly))
        _, exactly = _best(partial(_read, files, parse_exactly))
        sys.stdout.write(
            f"  of that reading: {quickly:.0f} ms; by ruamel.yaml alone: {exactly:.0f} ms ({exactly / quickly:.0f} times)\n"
        )
    for name, data in _traps():
        files = {"flows/app.yaml": APP, "flows/big.yaml": data}
        first, best = _best(partial(check_files, files, CATALOGUE))
        (problem,) = check_files(files, CATALOGUE).problems
        sys.stdout.write(f"{name}: {best:.0f} ms ({problem.code} {problem.message})\n")


if __name__ == "__main__":
    main()
