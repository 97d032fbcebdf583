"""`python -m soko.simulators whatsapp|daraja --port N`: one simulator as a process, until Ctrl-C or SIGTERM."""

import argparse
import sys

from soko.clock import utc_now
from soko.simulators import daraja, whatsapp
from soko.simulators.serving import LOOPBACK, StartRefusedError, serve
from soko.simulators.virtual import VirtualTime


def main() -> int:
    """Run the simulator that the command line names. Exit status 2 means that it would not start, with the reason on stderr."""
    options = _parser().parse_args()
    try:
        app = (
            whatsapp.build_app(app_url=options.app_url, app_secret=options.app_secret)
            if options.name == "whatsapp"
            else daraja.build_app(clock=VirtualTime(utc_now()) if options.virtual_clock else utc_now)
        )
        serve(app, options.port, options.host, ready=lambda url: print(f"{app.title} simulator on {url}", flush=True))  # noqa: T201
    except StartRefusedError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m soko.simulators", description=__doc__)
    parser.add_argument("name", choices=["whatsapp", "daraja"])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default=LOOPBACK, help="a loopback address")
    parser.add_argument(
        "--app-url", default="http://127.0.0.1:3030", help="where WhatsApp posts its webhooks: the app's base URL"
    )
    parser.add_argument("--virtual-clock", action="store_true", help="daraja: time stands until POST /sim/clock/advance")
    parser.add_argument("--app-secret", default=whatsapp.APP_SECRET, help="what WhatsApp signs its webhooks with")
    return parser


if __name__ == "__main__":
    sys.exit(main())
