"""The command line, one file per group of commands. A new file enters the import and the list below.

A file has `commands = typer.Typer(…)`: with a name it is a group, without one its commands stand at the top. Imports of
anything slow (pydantic, FastAPI, psycopg, rq, …) stay inside the command's body, so that `soko --help` is quick.
"""

import typer

from soko.cli import (
    api,
    catalog,
    chat,
    config,
    conversation,
    customer,
    database,
    demo,
    event,
    flow_tools,
    flow_traces,
    funnel,
    inbox,
    init,
    key,
    migrate,
    payment,
    publishing,
    record,
    replay,
    running,
    usage,
    vendor,
    vendor_setup,
    version,
    webhook,
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

PARTS = (
    demo,
    running,
    flow_tools,
    flow_traces,
    funnel,
    publishing,
    chat,
    replay,
    init,
    record,
    inbox,
    conversation,
    customer,
    payment,
    catalog,
    key,
    api,
    usage,
    event,
    webhook,
    migrate,
    database,
    vendor,
    vendor_setup,
    config,
    version,
)
for commands in dict.fromkeys(part.commands for part in PARTS):  # several files may add to one group
    app.add_typer(commands)
