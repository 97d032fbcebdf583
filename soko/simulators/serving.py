"""Run a simulator: on loopback only, never in production, in a thread or as the process's main work."""

import asyncio
import ipaddress
import os
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any, Final, Protocol

import uvicorn
from fastapi import FastAPI, Response
from uvicorn.protocols.http.h11_impl import H11Protocol

from soko.errors import NotReady

LOOPBACK: Final = "127.0.0.1"
START_SECONDS: Final = 10.0

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class StartRefusedError(NotReady):
    """A simulator was about to start where it must not. The message names the cause and the fix."""


class Simulator(Protocol):
    """What `build_app` leaves in `app.state.simulator`."""

    def stop(self) -> None:
        """Wake everyone who waits and send nothing more. Returns at once."""

    def close(self) -> None:
        """Give back threads and connections. Waits for posts that are under way."""


def refuse_production(name: str) -> None:
    """Refuse to build or start a simulator when `SOKO_ENV` is production."""
    if os.environ.get("SOKO_ENV", "").strip().lower() == "production":
        raise StartRefusedError(
            f"The {name} simulator does not start with SOKO_ENV=production: no message and no payment it reports is real. "
            "Point SOKO_GRAPH_URL and SOKO_DARAJA_URL at the real services, or set SOKO_ENV=development."
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach the host."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def refuse_other_hosts(host: str) -> None:
    """Refuse every address that another machine could reach."""
    if is_loopback(host) and ":" not in host:  # the listener is IPv4
        return
    raise StartRefusedError(
        f"A simulator listens on loopback only, and {host!r} is not a loopback address: anyone who reaches it could mark "
        f"orders as paid. Use {LOOPBACK}."
    )


def serve(app: FastAPI, port: int, host: str = LOOPBACK, *, ready: Callable[[str], object] | None = None) -> None:
    """Serve until SIGINT or SIGTERM; `ready` is told the base URL once the port is ours. `running` is handier in a thread."""
    with _listening(app, port, host) as listener:
        if ready is not None:
            ready(_url_of(listener))
        _Server(app).run(sockets=[listener])


@contextmanager
def running(app: FastAPI, port: int = 0, host: str = LOOPBACK) -> Iterator[str]:
    """Serve in a thread for the length of a `with` block and give the base URL. Port 0 takes a free one."""
    with _listening(app, port, host) as listener:
        server = _Server(app)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name=app.title)
        thread.start()
        try:
            _wait_for_start(server, thread)
            yield _url_of(listener)
        finally:
            server.force_exit = server.should_exit = True
            thread.join()


@contextmanager
def _listening(app: FastAPI, port: int, host: str) -> Iterator[socket.socket]:
    simulator: Simulator = app.state.simulator
    try:
        refuse_production(app.title)
        refuse_other_hosts(host)
        with _bound(app, port, host) as listener:
            yield listener
    finally:
        simulator.close()


def _bound(app: FastAPI, port: int, host: str) -> socket.socket:
    try:
        return socket.create_server((host, port), backlog=1024)
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise StartRefusedError(
            f"The {app.title} simulator cannot listen on {host}:{port}: {reason}. Stop what uses that port, or choose another."
        ) from error


def _url_of(listener: socket.socket) -> str:
    host, port = listener.getsockname()
    return f"http://{host}:{port}"


def _wait_for_start(server: uvicorn.Server, thread: threading.Thread) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not server.started:
        if not thread.is_alive() or time.monotonic() > deadline:
            raise StartRefusedError("The simulator did not start; its thread's own message says why.")
        time.sleep(0.005)


class _Server(uvicorn.Server):
    """Uvicorn, told to let go of long polls and held answers when it stops."""

    def __init__(self, app: FastAPI) -> None:
        self.simulator: Simulator = app.state.simulator
        super().__init__(
            uvicorn.Config(
                app,
                proxy_headers=False,
                http=_Connection,
                ws="none",
                loop="asyncio",
                lifespan="off",
                access_log=False,
                date_header=False,
                log_level="critical",  # a connection dropped on purpose is an error to uvicorn, and a scenario to us
                timeout_graceful_shutdown=1,
            )
        )

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self.simulator.stop()
        await super().shutdown(sockets)


_open_connections: dict[tuple[object, object], asyncio.Transport] = {}  # by (our address, their address)


class _Connection(H11Protocol):
    """An HTTP connection that an answer can find again, so as to drop it."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn's own class
        super().connection_made(transport)
        # asyncio leaves Nagle on for a listener made without a protocol number: 40 ms for every answer.
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        _open_connections[(self.server, self.client)] = transport

    def connection_lost(self, exc: Exception | None) -> None:
        _open_connections.pop((self.server, self.client), None)
        super().connection_lost(exc)


class Dropped(Response):
    """No answer: the connection is reset without a byte, after `after_seconds` (sooner when the caller leaves)."""

    def __init__(self, *, after_seconds: float = 0.0) -> None:
        super().__init__()
        self.after_seconds = after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self.after_seconds:
            await _wait_for_the_caller_to_leave(receive, self.after_seconds)
        transport = _open_connections.get((scope["server"], scope["client"]))
        if transport is not None:
            sock: socket.socket = transport.get_extra_info("socket")
            with suppress(OSError):  # the caller left first
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # close with RST, not FIN
            transport.abort()


class Late(Response):
    """The given answer, `after_seconds` later; nothing when the caller has left by then. Holds no thread."""

    def __init__(self, answer: Response, *, after_seconds: float) -> None:
        super().__init__()
        self.answer = answer
        self.after_seconds = after_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not await _wait_for_the_caller_to_leave(receive, self.after_seconds):
            await self.answer(scope, receive, send)


async def _wait_for_the_caller_to_leave(receive: Receive, seconds: float) -> bool:
    async def left() -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    try:
        await asyncio.wait_for(left(), seconds)
    except TimeoutError:
        return False
    return True
