"""What an attacker may try, and the tests that show what comes of it; `python -m tests.security.checks` writes the page."""

from collections.abc import Mapping
from typing import Final

from tests.numbered import ROOT, Numbered

ELSEWHERE: Final = "run by hand where its list of advisories can be reached"

CHECKS: Final[Mapping[int, tuple[str, str]]] = {
    1: ("reading the order of another vendor", "404"),
    2: ("a body that names another vendor than the header", "403"),
    3: ("no key, an old one, a forged one", "401, before the body is looked at; keys are compared in constant time"),
    4: ("a key that was made for another operation", "403, on every operation"),
    5: ("an operation without its capability", "403, on every operation"),
    6: ("SQL as the runtime that names no vendor", "no row of any ops table"),
    7: ("SQL for one vendor that writes to another", "refused, or no row"),
    8: ("the role of web and workers", "owns nothing, and no attribute frees it"),
    9: ("an ops table without row-level security", "found, with what to add"),
    10: ("1,000 interleaved requests of two vendors on one connection", "no crossing"),
    11: ("a WhatsApp webhook unsigned, wrongly signed, changed by one byte", "403, nothing stored"),
    12: ("one webhook a hundred times at once", "one inbox entry"),
    13: ("an event we deliver, repeated later or under another time", "the verifier we publish refuses it"),
    14: ("a signing secret that is being changed", "both verify, then the new one alone"),
    15: ("a callback for an unknown prompt or another amount", "kept and flagged, nothing moves"),
    16: ("one callback fifty times at once", "one payment"),
    17: ("an event endpoint at a private address, in any spelling, by DNS or by redirect", "refused"),
    18: ("SQL in every text of every request", "stored as it is; no statement is put together from values"),
    19: ("a field nobody knows", "422, in every body"),
    20: ("a body above 1 MB, or nested deeply", "413 before it is parsed; 422"),
    21: ("a flow with YAML anchors, merge keys, tags, twice the same key, deep or large", "does not load"),
    22: ("templates that run code, or grow", "do not load, or are stopped"),
    23: ("the logs of whole orders", "no phone, key, token or secret"),
    24: ("errors, also those of our bugs", "no stack, statement or address in the answer"),
    25: ("a plain secret in production", "the start is refused"),
    26: ("a dump of the databases, searched for a phone", "not found"),
    27: ("a customer's export", "has what every table knows of them"),
    28: ("a customer erased", "gone from everywhere; the sums are the same"),
    29: ("Redis is away", "calls are counted by each process, callbacks are kept"),
    30: ("one call above the limit, over four processes", "429 with Retry-After"),
    31: ("whatever our OpenAPI allows, and what it does not", "never 5xx, always as described"),
    32: (
        "packages of others",
        f"pinned by hash; `pip-audit --strict -r requirements.lock` is {ELSEWHERE}",
    ),
}
HEAD: Final = """# What the router withstands

Each check has its number in a test. This page is written by `python -m tests.security.checks`, and a test compares it.
"""
LIST: Final = Numbered(marker="security", page=ROOT / "docs" / "security-checks.md", head=HEAD, entries=CHECKS)

if __name__ == "__main__":
    LIST.page.write_text(LIST.render())
