"""The way out to vendors' webhooks: one POST, to an address of the open Internet, with an end to everything.

The address is resolved, judged and connected to in one step, so that a name cannot lead elsewhere in between. There is no proxy,
no redirect, no cookie, no reuse of a connection, and of the answer nothing is read but its head.
"""

import socket
import ssl
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from time import monotonic
from typing import Any, Final

import httpcore

from router.webhooks.addresses import is_public

CALL_SECONDS: Final = 15.0  # from the first byte sent to the last one needed; looking a name up may take longer
_HEADERS: Final = (("Content-Type", "application/cloudevents+json"), ("User-Agent", "soko"), ("Connection", "close"))
Resolve = Callable[[str, int], list[str]]


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came back: an HTTP status, or an error. `asked_seconds`: its Retry-After."""

    status: int | None
    error: str
    asked_seconds: int = 0


class _Forbidden(Exception):
    """The name leads to where nothing may be sent."""


def resolve(host: str, port: int) -> list[str]:
    """Ask the system where a name leads. OSError: nowhere."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


def post(
    url: str,
    *,
    headers: Mapping[str, str],
    body: bytes,
    public_only: bool,
    seconds: float = CALL_SECONDS,
    look_up: Resolve = resolve,
) -> Answer:
    """Post, and tell what became of it. Never raises for what the other side does."""
    backend = _Backend(public_only=public_only, ends_at=monotonic() + seconds, look_up=look_up)
    with httpcore.ConnectionPool(
        ssl_context=_authorities() if url.startswith("https:") else None, network_backend=backend, keepalive_expiry=0
    ) as pool:
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), seconds)
        try:
            sent = [*_HEADERS, *headers.items()]
            with pool.stream("POST", url, headers=sent, content=body, extensions={"timeout": timeout}) as answer:
                return Answer(status=answer.status, error=_error(answer.status), asked_seconds=_retry_after(answer.headers))
        except httpcore.TimeoutException:
            return Answer(status=None, error=f"no answer in {seconds:g} seconds")
        except _Forbidden as error:
            return Answer(status=None, error=str(error))
        except (httpcore.NetworkError, httpcore.ProtocolError, ssl.SSLError, OSError, UnicodeError) as error:
            return Answer(status=None, error=f"{type(error).__name__}: {error}"[:200])


class _Backend(httpcore.NetworkBackend):
    """Connects to what it has judged."""

    def __init__(self, *, public_only: bool, ends_at: float, look_up: Resolve) -> None:
        self._public_only = public_only
        self._ends_at = ends_at
        self._look_up = look_up
        self._real = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Resolve once, refuse the whole name when one of its addresses is not public, connect to the first that answers."""
        try:
            addresses = self._look_up(host, port)
        except OSError as error:
            raise httpcore.ConnectError(f"{host} leads nowhere: {error.strerror}") from None
        inside = [address for address in addresses if self._public_only and not is_public(address)]
        if inside:
            raise _Forbidden(f"{host} leads to {inside[0]}, which is no address of the open Internet")
        failure: Exception = httpcore.ConnectError(f"{host} leads nowhere")
        for address in addresses:
            try:
                left = _left(self._ends_at)
                return _Stream(self._real.connect_tcp(address, port, left, local_address, socket_options), self._ends_at)
            except httpcore.ConnectError as error:
                failure = error
        raise failure


class _Stream(httpcore.NetworkStream):
    """A connection whose every wait ends with the call: somebody who sends a byte now and then gains nothing."""

    def __init__(self, real: httpcore.NetworkStream, ends_at: float) -> None:
        self._real = real
        self._ends_at = ends_at

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        """Read."""
        return self._real.read(max_bytes, _left(self._ends_at))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        """Write."""
        self._real.write(buffer, _left(self._ends_at))

    def close(self) -> None:
        """Close."""
        self._real.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        """Begin TLS, for the name and not for the address."""
        return _Stream(self._real.start_tls(ssl_context, server_hostname, _left(self._ends_at)), self._ends_at)

    def get_extra_info(self, info: str) -> Any:
        """Ask the connection."""
        return self._real.get_extra_info(info)


def _left(ends_at: float) -> float:
    left = ends_at - monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout
    return left


@cache
def _authorities() -> ssl.SSLContext:
    return ssl.create_default_context()


def _error(status: int) -> str:
    if 200 <= status < 300:
        return ""
    return f"answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")


def _retry_after(headers: Iterable[tuple[bytes, bytes]]) -> int:
    said = next((value for name, value in headers if name.lower() == b"retry-after"), b"")
    return int(said) if said.isdigit() and len(said) < 9 else 0
