"""The shortcodes that exist on the simulated M-Pesa, with the credentials of their Daraja apps."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """How a shortcode takes money."""

    PAYBILL = "paybill"
    TILL = "till"

    @property
    def transaction_type(self) -> str:
        """Daraja's word for it."""
        return "CustomerPayBillOnline" if self is Kind.PAYBILL else "CustomerBuyGoodsOnline"


@dataclass(frozen=True, kw_only=True)
class Vendor:
    """One shortcode. `party_b` is who gets the money: the paybill itself, or the till under the store number `short_code`."""

    short_code: str
    kind: Kind
    party_b: str
    consumer_key: str
    consumer_secret: str
    passkey: str


VENDORS: Final = (
    Vendor(
        short_code="174379",
        kind=Kind.PAYBILL,
        party_b="174379",
        consumer_key="sim-key-1",
        consumer_secret="sim-secret-1",  # noqa: S106  # opens a program that refuses to run in production
        passkey="sim-passkey-1",
    ),
    Vendor(
        short_code="600980",
        kind=Kind.TILL,
        party_b="5001234",
        consumer_key="sim-key-2",
        consumer_secret="sim-secret-2",  # noqa: S106
        passkey="sim-passkey-2",
    ),
)
