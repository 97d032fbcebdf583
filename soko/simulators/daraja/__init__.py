"""Daraja, Safaricom's M-Pesa API: tokens, STK push with Daraja's own checks, callbacks, status query."""

from soko.simulators.daraja.app import build_app
from soko.simulators.daraja.vendors import VENDORS, Kind, Vendor

__all__ = ["VENDORS", "Kind", "Vendor", "build_app"]
