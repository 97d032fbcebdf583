"""How a command ends badly: one paragraph on stderr, no trace, and an exit code that says which kind.

0 done; 1 the check or job failed; 2 bad usage; 3 the environment is not ready; 130 interrupted.
"""

import signal
import sys
from types import FrameType
from typing import Any, Final, Never

import typer
from typer.core import TyperGroup

from router.errors import Broken, Refused, Unavailable
from soko.errors import NotReady

FAILED: Final = 1
NOT_READY: Final = 3
INTERRUPTED: Final = 130


class CarefulGroup(TyperGroup):
    """The root of the command line: turns our errors into exit codes. A bug of ours keeps its trace."""

    def invoke(self, ctx: Any) -> object:
        """Run the command. typer keeps its context's class to itself, so it is only handed on."""
        signal.signal(signal.SIGTERM, _leave_tidily)
        try:
            return super().invoke(ctx)
        except (NotReady, Unavailable) as error:
            fail(str(error), NOT_READY)
        except (Refused, Broken) as error:
            fail(str(error), FAILED)
        except KeyboardInterrupt:
            sys.exit(INTERRUPTED)


def fail(message: str, code: int = FAILED) -> Never:
    """Say why on stderr, and leave."""
    typer.echo(f"soko: {message}", err=True)
    raise typer.Exit(code)


def _leave_tidily(number: int, frame: FrameType | None) -> None:
    """Unwind on SIGTERM as on Ctrl-C: blocks that own engines and children stop them."""
    sys.exit(128 + number)
