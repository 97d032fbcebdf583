"""The processes that one `soko up` starts, watches and stops."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from soko.errors import NotReady
from soko.parent import VARIABLE

STOP_SECONDS: Final = 10.0
SETTLED_SECONDS: Final = 10.0  # what ends sooner than this would end again


class Children:
    """Child processes in sessions of their own, so that Ctrl-C reaches only us and we stop them in order."""

    def __init__(self, *, environment: Mapping[str, str], logs: Path | None) -> None:
        self._environment = {**os.environ, **environment, VARIABLE: str(os.getpid())}
        self._logs = logs
        self._running: dict[str, subprocess.Popen[bytes]] = {}
        self._arguments: dict[str, Sequence[str]] = {}
        self._started: dict[str, float] = {}
        self._files = ExitStack()

    def start(self, name: str, arguments: Sequence[str]) -> None:
        """Start `soko <arguments>`. Its output goes to `<logs>/<name>.log`, or to ours without a log folder."""
        output = None
        if self._logs is not None:
            self._logs.mkdir(parents=True, exist_ok=True)
            output = self._files.enter_context((self._logs / f"{name}.log").open("ab"))
        self._arguments[name] = arguments
        self._started[name] = time.monotonic()
        self._running[name] = subprocess.Popen(
            [sys.executable, "-m", "soko", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
        )

    def check(self) -> None:
        """Errors: NotReady when one has ended; it names the process and where its last words are."""
        for name in self._running:
            self._check(name)

    def mend(self) -> list[str]:
        """Start again what has ended, and name it. Errors: NotReady when it had only just been started."""
        ended = [name for name, child in self._running.items() if child.poll() is not None]
        for name in ended:
            if time.monotonic() - self._started[name] < SETTLED_SECONDS:
                self._check(name)
            self.start(name, self._arguments[name])
        return ended

    def _check(self, name: str) -> None:
        child = self._running[name]
        if child.poll() is not None:
            where = f"; its log is {self._logs / f'{name}.log'}" if self._logs else ""
            raise NotReady(f"{name} ended with exit code {child.returncode}{where}")

    def stop(self) -> None:
        """Stop all, the last started first; who does not listen within ten seconds is killed."""
        for child in reversed(self._running.values()):
            child.terminate()
        end = time.monotonic() + STOP_SECONDS
        for child in reversed(self._running.values()):
            try:
                child.wait(max(0.1, end - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
        self._running.clear()
        self._files.close()
