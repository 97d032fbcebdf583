"""Every single edit of the shop that could charge somebody: which are refused, and which the run-time stops.

`./run bench mutants` makes every mutant, checks it, plays what loads, and writes bench/mutants/RESULTS.md.
Refused mutants are played as well, on an engine that is handed them unchecked: the run-time's guards must hold alone.
"""

import sys
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from multiprocessing import Pool
from pathlib import Path
from typing import Final

from bench.mutants.edits import Mutant, mutants
from bench.mutants.play import Played, play
from conversation.authoring.load import build_bundle, build_unchecked
from conversation.authoring.problems import FlowErrors
from conversation.services import CATALOGUE

FLOWS: Final = Path(__file__).parents[2] / "flows"
RESULTS: Final = Path(__file__).parent / "RESULTS.md"


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What became of a mutant. `codes` are the checker's; `played` is None when it cannot even be read."""

    mutant: Mutant
    codes: tuple[str, ...]
    played: Played | None

    @property
    def loads(self) -> bool:
        """The checker lets it through."""
        return not self.codes


def judge(mutant: Mutant, files: dict[str, bytes]) -> Outcome:
    """Check one mutant, and play it checked or unchecked."""
    files = {**files, "flows/shop.yaml": mutant.text.encode()}
    codes: tuple[str, ...] = ()
    try:
        bundle = build_bundle(files, CATALOGUE)
    except FlowErrors as errors:
        codes = tuple(sorted({problem.code for problem in errors.problems}))
        try:
            bundle = build_unchecked(files, CATALOGUE)
        except FlowErrors:
            return Outcome(mutant=mutant, codes=codes, played=None)
    return Outcome(mutant=mutant, codes=codes, played=play(bundle, mutant.what))


def main() -> int:
    """Run all, write the results, and say whether money moved without a PAY."""
    started = time.perf_counter()
    # Without translations: they would be out of date in every mutant that changes a text.
    files = {f"flows/{path.name}": path.read_bytes() for path in FLOWS.glob("*.yaml")}
    made = list(mutants((FLOWS / "shop.yaml").read_text()))
    with Pool(2) as pool:
        outcomes = pool.map(partial(judge, files=files), made, chunksize=8)
    text = report(outcomes)
    RESULTS.write_text(text)
    sys.stdout.write(f"{text}\n{len(outcomes)} mutants in {time.perf_counter() - started:.0f} s\n")
    return int(any(outcome.played is not None and outcome.played.wrong for outcome in outcomes if outcome.loads))


def report(outcomes: list[Outcome]) -> str:
    """The page."""
    lines = [
        "# Mutants of the shop",
        "",
        "Made by `./run bench mutants`. Each mutant is `flows/shop.yaml` with one edit that could move money wrongly.",
        "*Refused*: the checker does not let it load. *Loads*: it does, and adversarial conversations are held with it.",
        "*Pushes wrongly*: an auditor who knows nothing of the engine saw a push without the customer's PAY in that turn, with",
        "another amount, phone or order, for an order that is not CONFIRMED, or after a question without amount and phone.",
        "",
        "| kind of edit | mutants | refused | load | load and push wrongly |",
        "|---|---|---|---|---|",
    ]
    for kind in dict.fromkeys(outcome.mutant.kind for outcome in outcomes):
        lines.append(_row(kind, [outcome for outcome in outcomes if outcome.mutant.kind == kind]))
    lines.append(_row("**all**", outcomes))
    codes = Counter(code for outcome in outcomes for code in outcome.codes)
    lines += ["", "Refused by: " + ", ".join(f"{code} {count}" for code, count in codes.most_common()) + "."]
    unchecked = [outcome for outcome in outcomes if not outcome.loads and outcome.played is not None]
    stopped = sum(1 for outcome in unchecked if outcome.played and outcome.played.stopped)
    wrong = [outcome for outcome in unchecked if outcome.played and outcome.played.wrong]
    lines += [
        "",
        "## The run-time alone",
        "",
        f"{len(unchecked)} of the refused mutants can be run at all when nobody checks them. The engine was handed them",
        f"unchecked: in {stopped} of them it stopped at least one turn as ContractBroken, and {len(wrong)} pushed wrongly.",
        *_told(wrong),
    ]
    survivors = [outcome for outcome in outcomes if outcome.loads]
    lines += ["", "## Mutants that load", "", f"{len(survivors)} load. What became of them in the conversations:", ""]
    lines += ["| edit | pushes, each after a PAY | turns stopped | wrong pushes |", "|---|---|---|---|"]
    for outcome in survivors:
        played = outcome.played
        if played is not None:
            edit = outcome.mutant.what.replace("|", "\\|")
            lines.append(f"| {edit} | {played.pushes} | {played.stopped} | {', '.join(sorted(played.wrong)) or 'none'} |")
    return "\n".join(lines) + "\n"


def _row(kind: str, outcomes: list[Outcome]) -> str:
    loads = [outcome for outcome in outcomes if outcome.loads]
    wrong = sum(1 for outcome in loads if outcome.played is not None and outcome.played.wrong)
    return f"| {kind} | {len(outcomes)} | {len(outcomes) - len(loads)} | {len(loads)} | {wrong} |"


def _told(outcomes: list[Outcome]) -> list[str]:
    told = [f"- {each.mutant.what}: {', '.join(sorted(each.played.wrong))}" for each in outcomes if each.played is not None]
    return ["", *told] if told else []


if __name__ == "__main__":
    raise SystemExit(main())
