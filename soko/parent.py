"""A child must not outlive the process that would have stopped it."""

import os
import signal
import threading
from typing import Final

VARIABLE: Final = "SOKO_PARENT"  # set by whoever starts a child of ours: its own process number
LOOK_SECONDS: Final = 0.5


def watch_parent(parent: int | None = None) -> None:
    """End this process, as SIGTERM does, when the one that started it has gone: kill -9 leaves nobody to tell us.

    `parent` is its number, else what the environment says: asked later, a parent that is gone already looks like none.
    """
    told = os.environ.get(VARIABLE)
    expected = parent or (int(told) if told else os.getppid())
    if expected == 1:
        return  # a service manager started us, and it is always there

    def look() -> None:
        while not threading.Event().wait(LOOK_SECONDS):
            if os.getppid() != expected:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=look, name="watch-parent", daemon=True).start()
