"""The command line, one file per group of commands. A new file enters the import and the list below.

A file has `commands = typer.Typer(…)`: with a name it is a group, without one its commands stand at the top. Imports of
anything slow (pydantic, FastAPI, psycopg, rq, …) stay inside the command's body, so that `soko --help` is quick.
"""

import typer

from soko.cli import (
    chat,
    config,
    conversation,
    database,
    demo,
    inbox,
    init,
    migrate,
    payment,
    publishing,
    replay,
    running,
    version,
)
from soko.cli.failures import CarefulGroup

app = typer.Typer(
    name="soko",
    help="Shops inside WhatsApp, paid by M-Pesa.",
    cls=CarefulGroup,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

for part in (
    demo,
    running,
    publishing,
    chat,
    replay,
    init,
    inbox,
    conversation,
    payment,
    migrate,
    database,
    config,
    version,
):
    app.add_typer(part.commands)
