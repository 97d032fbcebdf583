"""The business numbers that exist on the simulated WhatsApp, and what the app must know to talk to it."""

import hashlib
from dataclasses import dataclass
from typing import Final

APP_SECRET: Final = "sim-app-secret"  # noqa: S105  # signs webhooks of a program that refuses to run in production
WEBHOOK_PATH: Final = "/webhooks/whatsapp"


@dataclass(frozen=True, kw_only=True)
class Number:
    """One business phone number. `display_phone` has digits only, as in Meta's metadata."""

    phone_number_id: str
    token: str
    display_phone: str
    waba_id: str

    def bsuid_of(self, phone: str) -> str:
        """The business-scoped user id a person has here: stable, and different for every business."""
        digest = hashlib.sha256(f"{self.waba_id}/{phone}".encode()).digest()
        return f"KE.{int.from_bytes(digest[:6], 'big'):016d}"


NUMBERS: Final = (
    Number(phone_number_id="100000000000001", token="sim-token-1", display_phone="254700100001", waba_id="200000000000001"),  # noqa: S106
    Number(phone_number_id="100000000000002", token="sim-token-2", display_phone="254700100002", waba_id="200000000000002"),  # noqa: S106
)
