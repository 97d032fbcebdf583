"""Both simulators in one process, at the addresses that the settings say WhatsApp and M-Pesa have."""

from urllib.parse import urlsplit

from soko.errors import NotReady
from soko.settings import Settings, to_variable
from soko.simulators import daraja, whatsapp
from soko.simulators.serving import running, serve


def serve_both(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT. Errors: NotReady, StartRefusedError in production or off loopback."""
    whatsapp_app = whatsapp.build_app(app_url=settings.public_url, app_secret=settings.open_secret(settings.whatsapp_app_secret))
    host, port = _address_of(settings, "graph_url")
    with running(whatsapp_app, port, host):
        host, port = _address_of(settings, "daraja_url")
        serve(daraja.build_app(), port, host)


def _address_of(settings: Settings, name: str) -> tuple[str, int]:
    url = urlsplit(getattr(settings, name))
    if url.hostname is None or url.port is None:
        raise NotReady(f"{to_variable(name)} is {url.geturl()}: a simulator needs an address like http://127.0.0.1:3031.")
    return url.hostname, url.port
