"""The WhatsApp Cloud API: takes sends as Meta does, and posts signed webhooks back."""

from soko.simulators.whatsapp.app import build_app
from soko.simulators.whatsapp.numbers import APP_SECRET, NUMBERS, WEBHOOK_PATH, Number

__all__ = ["APP_SECRET", "NUMBERS", "WEBHOOK_PATH", "Number", "build_app"]
