"""What Schemathesis finds in our HTTP API: every check of it, 200 examples an operation, on a real server and database.

`./run bench api [EXAMPLES]` says what fails, and writes bench/api.md when nothing does.
"""

import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Final

import uvicorn

from router.http.api import Api
from router.http.page import build_app
from router.rate_limits import PER_MINUTE, RateLimits
from router.seeding import MAMA_DUKA
from soko.assembly import build_signing, open_databases
from soko.embedded import engines
from soko.settings import Settings
from soko.up import prepare

HERE: Final = Path(__file__).parent
EXAMPLES: Final = 200
UNLIMITED: Final = dict.fromkeys(PER_MINUTE, 10**9)
SEED: Final = 2026


class _Server(uvicorn.Server):
    def install_signal_handlers(self) -> None:
        """Leave Ctrl-C to us."""


def main() -> None:
    """Serve the API on loopback and let Schemathesis at it."""
    examples = int(sys.argv[1]) if len(sys.argv) > 1 else EXAMPLES
    with tempfile.TemporaryDirectory(prefix="soko-bench-") as home:
        Path(home).chmod(0o711)
        settings = Settings(_env_file=None, home=Path(home))
        with engines(settings) as urls, socket.create_server(("127.0.0.1", 0)) as listening:
            prepare(settings, urls)
            with open_databases(settings, urls) as databases:
                limits = RateLimits(None, UNLIMITED)
                app = build_app(Api(databases=databases, limits=limits, signing=build_signing(settings)))
                server = _Server(uvicorn.Config(app, log_level="warning"))
                thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
                thread.start()
                code, told = _attack(f"http://127.0.0.1:{listening.getsockname()[1]}/openapi.json", examples, Path(home))
                server.should_exit = True
                thread.join()
    if code:
        raise SystemExit(code)
    _write(told, examples)


def _attack(url: str, examples: int, home: Path) -> tuple[int, str]:
    command = [str(Path(sys.executable).parent / "schemathesis"), "--config-file", str(HERE / "schemathesis.toml"), "run", url]
    command += ["-H", "x-internal-key: dev-internal-secret", "-H", f"x-vendor-id: {MAMA_DUKA}"]
    command += ["--checks", "all", "--mode", "all", "-n", str(examples), "--seed", str(SEED), "--no-color"]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False, cwd=home)
    print(done.stdout)  # noqa: T201 - the point of it
    return done.returncode, done.stdout


def _write(told: str, examples: int) -> None:
    operations = re.search(r"Tested: (\d+)", told)
    cases = re.search(r"(\d+) generated, \d+ passed", told)
    phases = re.findall(r"✅ +(Examples|Coverage|Fuzzing|Stateful)$", told, re.MULTILINE)
    if operations is None or cases is None:
        raise SystemExit("schemathesis says it in other words now: look at _write")
    text = f"""# Schemathesis and our HTTP API

Made by `./run bench api`: all checks, valid and invalid requests, {examples} examples an operation, seed {SEED}.

| operations | requests | failures, 5xx among them | phases |
|---|---|---|---|
| {operations[1]} | {cases[1]} | 0 | {", ".join(phases).lower()} |

Allowed in `schemathesis.toml`: 422 to a request that the schema allows, for rules that JSON Schema cannot say. Found and mended
while it was written: errors described as `application/json`, a 405 whose `Allow` left methods out, a number taken for a time,
and one for a day.
"""
    (HERE / "api.md").write_text(text)


if __name__ == "__main__":
    main()
