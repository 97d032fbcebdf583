"""Where a webhook may lead: a vendor names the address, and our machine must not become its way into our network."""

import ipaddress
from typing import Final
from urllib.parse import urlsplit

from router.errors import Refused

LONGEST: Final = 500
# What `is_global` of this Python lets through and no vendor's server has.
_INSIDE: Final = tuple(
    ipaddress.ip_network(text)
    for text in (
        "192.0.0.0/24",  # protocol assignments, and a metadata service
        "168.63.129.16/32",  # a metadata service on an address that looks public
        "64:ff9b::/96",  # the next four reach an IPv4 address through a translator, whichever that is
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "fec0::/10",
    )
)


def is_public(text: str) -> bool:
    """Tell whether an address is one of the open Internet; one that IPv6 only wraps is judged as what is inside."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
        address = address.ipv4_mapped
    inside = any(address in network for network in _INSIDE if network.version == address.version)
    return address.is_global and not address.is_multicast and not address.is_reserved and not inside


def check_url(text: str, *, public_only: bool) -> str:
    """Pass an address that can be delivered to. `public_only` as in production. Raises Refused("bad_url")."""
    try:
        parts = urlsplit(text)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise Refused("bad_url", "this is no URL: write it as https://shop.example/hook") from None
    if not text.isascii() or not text.isprintable() or " " in text or len(text) > LONGEST:
        raise Refused("bad_url", f"a URL is printable ASCII without spaces, {LONGEST} characters at most")
    if parts.scheme != "https" and (public_only or parts.scheme != "http"):
        raise Refused("bad_url", "the URL begins with https://, because events tell of customers")
    if not host or parts.username is not None or parts.fragment:
        raise Refused("bad_url", "the URL has a host, and neither a user nor a #fragment")
    if public_only and not _may_be_public(host):
        raise Refused("bad_url", f"{host} is no address of the open Internet")
    return text


def _may_be_public(host: str) -> bool:
    """Look at what the name itself says; what it leads to is looked at each time we connect."""
    try:
        return is_public(host)
    except ValueError:
        return "." in host.strip(".") and not host.endswith((".localhost", ".local", ".internal"))
