"""Who posts a callback: a second lock behind the token in its path.

Source of the addresses: the list five client libraries share; Safaricom publishes none, so `log` is the default.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

Network = IPv4Network | IPv6Network

SAFARICOM: Final = (
    "196.201.214.200", "196.201.214.206", "196.201.214.207", "196.201.214.208",
    "196.201.213.114", "196.201.213.44",
    "196.201.212.127", "196.201.212.138", "196.201.212.129", "196.201.212.136", "196.201.212.74", "196.201.212.69",
)  # fmt: skip


class Lock(StrEnum):
    """What to do with a callback from an address that is not listed."""

    OFF = "off"
    LOG = "log"
    ENFORCE = "enforce"


def parse_networks(text: str) -> tuple[Network, ...]:
    """Read addresses and networks with commas between them. ValueError names the one that is neither."""
    return tuple(ip_network(part.strip()) for part in text.split(",") if part.strip())


@dataclass(frozen=True, kw_only=True)
class Peers:
    """The callers we expect, and our own proxies in front of us."""

    lock: Lock = Lock.OFF
    listed: tuple[Network, ...] = ()
    proxies: tuple[Network, ...] = ()

    def name(self, peer: str | None, forwarded_for: Sequence[str]) -> str | None:
        """Tell who called. X-Forwarded-For counts only where a proxy of ours wrote it: from its end, up to the first stranger."""
        hops = [hop.strip() for line in forwarded_for for hop in line.split(",")]
        while peer is not None and hops and _is_in(peer, self.proxies):
            peer = hops.pop()
        return peer

    def expects(self, peer: str | None) -> bool:
        """Tell whether this address is on the list."""
        return self.lock is Lock.OFF or (peer is not None and _is_in(peer, self.listed))


def _is_in(peer: str, networks: tuple[Network, ...]) -> bool:
    try:
        address = ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)
