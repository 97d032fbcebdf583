"""A child must not outlive the process that would have stopped it."""

import os
import signal
import threading
from typing import Final

LOOK_SECONDS: Final = 0.5


def watch_parent() -> None:
    """End this process, as SIGTERM does, when the one that started it has gone (kill -9 leaves nobody to tell us)."""
    parent = os.getppid()
    if parent == 1:
        return  # a service manager started us, and it is always there

    def look() -> None:
        while not threading.Event().wait(LOOK_SECONDS):
            if os.getppid() != parent:
                os.kill(os.getpid(), signal.SIGTERM)
                return

    threading.Thread(target=look, name="watch-parent", daemon=True).start()
