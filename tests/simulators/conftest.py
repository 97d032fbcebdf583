from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from threading import Condition
from typing import Annotated

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response

from soko.clock import utc_now
from soko.simulators.recording import raw_body
from soko.simulators.serving import running


@dataclass(frozen=True, kw_only=True)
class Post:
    path: str
    headers: Mapping[str, str]
    body: bytes


@dataclass
class Receiver:
    """The app's side: keeps every post, answers 200 unless told otherwise for the next ones."""

    answers: list[int] = field(default_factory=list)
    posts: list[Post] = field(default_factory=list)
    changed: Condition = field(default_factory=Condition)

    def keep(self, post: Post) -> int:
        with self.changed:
            self.posts.append(post)
            self.changed.notify_all()
            return self.answers.pop(0) if self.answers else 200

    def wait_for(self, count: int, *, timeout_seconds: float = 5.0) -> list[Post]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.posts) >= count, timeout_seconds), f"{len(self.posts)} of {count} posts"
            return list(self.posts)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def build_receiver(receiver: Receiver) -> FastAPI:
    app = FastAPI(title="receiver")
    app.state.simulator = receiver

    @app.get("/webhooks/whatsapp")
    def challenge(request: Request) -> Response:
        query = request.query_params
        ok = query["hub.mode"] == "subscribe" and query["hub.verify_token"] == "right-token"
        return Response(query["hub.challenge"] if ok else "forbidden", 200 if ok else 403)

    @app.post("/{path:path}")
    def keep(path: str, request: Request, body: Annotated[bytes, Depends(raw_body)]) -> Response:
        return Response(status_code=receiver.keep(Post(path="/" + path, headers=dict(request.headers), body=body)))

    return app


@pytest.fixture(scope="session")
def _receiving() -> Iterator[tuple[Receiver, str]]:
    receiver = Receiver()
    with running(build_receiver(receiver)) as base_url:
        yield receiver, base_url


@pytest.fixture
def receiver(_receiving: tuple[Receiver, str]) -> Receiver:
    _receiving[0].posts.clear()
    _receiving[0].answers.clear()
    return _receiving[0]


@pytest.fixture
def receiver_url(_receiving: tuple[Receiver, str]) -> str:
    return _receiving[1]


@pytest.fixture(scope="session")
def http() -> Iterator[httpx.Client]:
    with httpx.Client(trust_env=False, verify=False, timeout=5.0) as client:
        yield client


@dataclass
class Clock:
    """The real time, moved by `ahead`."""

    ahead: timedelta = timedelta()

    def __call__(self) -> datetime:
        return utc_now() + self.ahead


@pytest.fixture(scope="session")
def session_clock() -> Clock:
    return Clock()


@pytest.fixture
def clock(session_clock: Clock) -> Iterator[Clock]:
    yield session_clock
    session_clock.ahead = timedelta()
