"""How fast transcripts are played, beside the bare SQL of as many turns in the same rehearsal, in one run and one process.

`./run bench replay` prints a table and writes bench/replay.md. The transcripts are those of flows/tests; embedded PostgreSQL.
"""

import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from time import perf_counter
from typing import Final

from bench.turns import take_bare_turn
from conversation.authoring.read_transcripts import read_transcripts
from conversation.authoring.transcripts import Transcript
from router import rehearsal_databases
from router.databases import Databases
from router.rehearsal import rehearse
from soko.embedded import engines
from soko.logs import configure
from soko.replay.stage import Stage, find_transcripts, open_stage, open_stage_at
from soko.settings import Settings

ROUNDS: Final = 3
BARE: Final = 1000


def main() -> None:
    """Measure and write down."""
    configure(stream=sys.stderr, level="ERROR")
    transcripts = [one for file in find_transcripts([Path("flows/tests")]) for one in read_transcripts(file)]
    talk = [one for one in transcripts if not one.pushes]
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        with engines(Settings(_env_file=None, home=Path(home))) as urls:
            platform, ops = rehearsal_databases.make_databases(platform_url=urls.platform, ops_url=urls.ops)
            with open_stage(platform_url=platform, ops_url=ops) as alone, open_stage_at(urls) as stage:
                for each in (alone, stage):
                    _play(each, transcripts)  # to warm up
                rows = [
                    ("bare SQL of a turn, in a rehearsal", _bare(platform, ops)),
                    (f"{len(talk)} transcripts without a payment, one at a time", _rate(alone, talk)),
                    ("the same side by side, as `soko replay` does", _rate(stage, talk)),
                    (f"all {len(transcripts)} transcripts, one at a time", _rate(alone, transcripts)),
                    ("the same side by side", _rate(stage, transcripts)),
                ]
    _write(rows)


def _bare(platform: str, ops: str) -> float:
    databases = Databases(platform_url=platform, ops_url=ops, resolve_secret=str)
    with closing(databases), rehearse(databases) as rehearsal:
        take_bare_turn(rehearsal, 0)
        begin = perf_counter()
        for _ in range(BARE):
            take_bare_turn(rehearsal, 0)
        return BARE / (perf_counter() - begin)


def _rate(stage: Stage, transcripts: Sequence[Transcript]) -> float:
    begin = perf_counter()
    turns = sum(_play(stage, transcripts) for _ in range(ROUNDS))
    return turns / (perf_counter() - begin)


def _play(stage: Stage, transcripts: Sequence[Transcript]) -> int:
    played = list(stage.play_all(transcripts))
    wrong = [one.failure.headline for one in played if one.failure is not None]
    if wrong:
        raise SystemExit("\n".join(wrong))
    return sum(one.turns for one in played)


def _write(rows: Sequence[tuple[str, float]]) -> None:
    bare = rows[0][1]
    lines = ["| what | turns a second | of the bare SQL |", "|---|---|---|"]
    lines += [f"| {name} | {rate:,.0f} | {rate / bare:.2f} |" for name, rate in rows]
    text = "\n".join(lines) + "\n"
    print(text)  # noqa: T201 - the point of it
    told = "Made by `./run bench replay`; compare the rows with each other, not with another machine. "
    why = "A payment takes a push, a callback, queries and their records besides its turns.\n\n"
    (Path(__file__).parent / "replay.md").write_text(f"# Replays\n\n{told}{why}{text}")


if __name__ == "__main__":
    main()
