import asyncio
import hashlib
import hmac
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from structlog.testing import capture_logs

from conversation.webhook import LARGEST_BODY, PATH, build_routes
from conversation.whatsapp.inbound import Incoming, OtherUpdate, StatusUpdate, Text, Update
from router.errors import Unavailable
from soko.simulators.serving import running

SECRET = "app-secret"
PHONE = "254712345678"


@dataclass
class Store:
    """Stands where the turns stand: keeps what it is given, or fails as it is told to."""

    kept: list[Update] = field(default_factory=list)
    tried: list[str | None] = field(default_factory=list)
    threads: set[str] = field(default_factory=set)
    trouble: Callable[[Update], Exception | None] = lambda _update: None

    def accept(self, updates: Sequence[Update]) -> None:
        self.threads.add(threading.current_thread().name)
        for update in updates:
            self.tried.append(update.phone_number_id)
            trouble = self.trouble(update)
            if trouble is not None:
                raise trouble
            self.kept.append(update)

    def reset(self) -> None:
        self.kept.clear()
        self.tried.clear()
        self.threads.clear()
        self.trouble = lambda _update: None

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


def build_app(store: Store) -> FastAPI:
    app = FastAPI(title="webhook")
    app.state.simulator = store
    app.include_router(build_routes(accept=store.accept, verify_token="töken", app_secret=SECRET))
    return app


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Store, httpx.Client]]:
    store = Store()
    with running(build_app(store)) as url, httpx.Client(base_url=url, trust_env=False, verify=False) as client:
        yield store, client


@pytest.fixture
def store(served: tuple[Store, httpx.Client]) -> Store:
    served[0].reset()
    return served[0]


@pytest.fixture
def client(served: tuple[Store, httpx.Client]) -> httpx.Client:
    return served[1]


def signature(body: bytes, secret: str = SECRET) -> str:
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def text(n: int = 1, *, words: str = "2 unga", number: str = "100000000000001") -> dict[str, Any]:
    message = {"from": PHONE, "id": f"wamid.{n}", "timestamp": "1788249600", "type": "text", "text": {"body": words}}
    return {"field": "messages", "value": {"metadata": {"phone_number_id": number}, "messages": [message]}}


def encoded(*changes: dict[str, Any]) -> bytes:
    return json.dumps({"object": "whatsapp_business_account", "entry": [{"id": "200", "changes": list(changes)}]}).encode()


def post(client: httpx.Client, body: bytes, header: bytes | None = None) -> httpx.Response:
    return client.post(
        PATH, content=body, headers=[(b"X-Hub-Signature-256", signature(body).encode() if header is None else header)]
    )


# the signature


def test_a_signed_message_is_stored_and_acknowledged(client: httpx.Client, store: Store) -> None:
    assert post(client, encoded(text())).status_code == 200
    [update] = store.kept
    assert isinstance(update, Incoming)
    assert update.utterance == Text(text="2 unga")


@pytest.mark.security(11)
def test_a_body_without_a_signature_leaves_no_trace(client: httpx.Client, store: Store) -> None:
    assert client.post(PATH, content=encoded(text())).status_code == 403
    assert store.tried == []


BODY = encoded(text())
DIGEST = signature(BODY).removeprefix("sha256=").encode()


@pytest.mark.security(11)
@pytest.mark.parametrize(
    "header",
    [
        signature(BODY, "other-secret").encode(),
        b"sha1=" + hmac.new(SECRET.encode(), BODY, hashlib.sha1).hexdigest().encode(),
        DIGEST,
        b"sha256=",
        b"",
        b"sha256=" + DIGEST[:-1],
        b"sha256=" + DIGEST.upper(),
        "sha256=é".encode(),
        b"sha256=\xff\xfe",
        b"\xe9" * 71,
    ],
)
def test_a_wrong_signature_leaves_no_trace(client: httpx.Client, store: Store, header: bytes) -> None:
    answer = post(client, BODY, header)
    assert (answer.status_code, answer.headers["content-type"]) == (403, "text/plain; charset=utf-8")
    assert store.tried == []


@pytest.mark.security(11)
@pytest.mark.parametrize("at", [0, len(BODY) // 2, len(BODY) - 1])
def test_one_changed_byte_is_noticed(client: httpx.Client, store: Store, at: int) -> None:
    tampered = BODY[:at] + bytes([BODY[at] ^ 1]) + BODY[at + 1 :]
    assert post(client, tampered, signature(BODY).encode()).status_code == 403
    assert store.tried == []


def test_the_signature_covers_the_bytes_as_they_came_and_not_what_they_mean(client: httpx.Client, store: Store) -> None:
    escaped = encoded(text(words="habari 🌽 ñ"))
    assert rb"\ud83c\udf3d" in escaped
    plain = json.dumps(json.loads(escaped), ensure_ascii=False).encode()
    assert post(client, escaped).status_code == 200
    assert post(client, plain).status_code == 200
    assert post(client, plain, signature(escaped).encode()).status_code == 403
    assert [each.utterance for each in store.kept if isinstance(each, Incoming)] == [Text(text="habari 🌽 ñ")] * 2


@pytest.mark.parametrize(("token", "secret"), [("", "x"), ("x", "")])
def test_an_empty_secret_does_not_start(store: Store, token: str, secret: str) -> None:
    with pytest.raises(ValueError, match="an empty one lets anybody in"):
        build_routes(accept=store.accept, verify_token=token, app_secret=secret)


# the challenge


def test_the_challenge_is_answered_bare_and_as_text(client: httpx.Client) -> None:
    query = {"hub.mode": "subscribe", "hub.verify_token": "töken", "hub.challenge": "<b>1158201444"}
    answer = client.get(PATH, params=query)
    assert (answer.status_code, answer.text) == (200, "<b>1158201444")
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "query",
    [
        {},
        {"hub.mode": "subscribe", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "token", "hub.challenge": "1"},
        {"hub.mode": "subscribe", "hub.verify_token": "\ud83d", "hub.challenge": "1"},
        {"hub.mode": "unsubscribe", "hub.verify_token": "töken", "hub.challenge": "1"},
        {"hub.verify_token": "töken", "hub.challenge": "1"},
    ],
    ids=str,
)
def test_a_wrong_challenge_is_not_echoed(client: httpx.Client, query: dict[str, str]) -> None:
    sent = "&".join(f"{name}={value}" for name, value in query.items()).encode("utf-8", "surrogatepass")
    answer = client.get(PATH + "?" + "".join(f"%{byte:02x}" if byte > 127 else chr(byte) for byte in sent))
    assert (answer.status_code, answer.text) == (403, "forbidden")


# the size


def test_the_largest_body_that_meta_sends_is_taken(client: httpx.Client, store: Store) -> None:
    body = encoded({"field": "novelties", "value": {"filling": "x" * (3 * 1024 * 1024)}})
    assert post(client, body).status_code == 200
    assert len(store.kept) == 1


def test_a_larger_body_is_turned_away_without_being_read_to_its_end(store: Store) -> None:
    read = 0

    async def receive() -> dict[str, Any]:
        nonlocal read
        read += 1
        return {"type": "http.request", "body": b"x" * 1024 * 1024, "more_body": read < 8}

    assert _answer_to(store, receive) == 413
    assert read == LARGEST_BODY // (1024 * 1024) + 1
    assert store.tried == []


def test_a_body_that_breaks_off_is_not_stored(store: Store) -> None:
    messages: Iterator[dict[str, Any]] = iter(
        [{"type": "http.request", "body": BODY, "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> dict[str, Any]:
        return next(messages)

    assert _answer_to(store, receive) == 400
    assert store.tried == []


def _answer_to(store: Store, receive: Callable[[], Any]) -> int:
    sent: list[dict[str, Any]] = []

    async def send(message: Any) -> None:
        sent.append(message)

    headers = [(b"x-hub-signature-256", signature(BODY).encode())]
    scope = {"type": "http", "method": "POST", "path": PATH, "query_string": b"", "headers": headers}
    asyncio.run(build_app(store)(scope, receive, send))
    return int(sent[0]["status"])


# what is stored


def test_every_update_of_a_mixed_batch_is_handed_over_in_order(client: httpx.Client, store: Store) -> None:
    status = {"id": "wamid.9", "status": "read", "timestamp": "1788249600", "recipient_id": PHONE}
    value = {"metadata": {"phone_number_id": "100000000000001"}, "statuses": [status]}
    body = encoded(text(1), {"field": "messages", "value": value}, {"field": "account_update", "value": {}}, text(2))
    assert post(client, body).status_code == 200
    assert [type(each) for each in store.kept] == [Incoming, StatusUpdate, OtherUpdate, Incoming]


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'{"object": "page"}', b"null"])
def test_a_signed_body_we_do_not_understand_is_kept_and_acknowledged(client: httpx.Client, store: Store, body: bytes) -> None:
    assert post(client, body).status_code == 200
    [update] = store.kept
    assert isinstance(update, OtherUpdate)
    assert update.kind == "malformed"


def test_an_empty_batch_is_acknowledged(client: httpx.Client, store: Store) -> None:
    assert post(client, b'{"object": "whatsapp_business_account", "entry": []}').status_code == 200
    assert store.tried == []


def test_storing_does_not_hold_up_the_event_loop(client: httpx.Client, store: Store) -> None:
    post(client, BODY)
    assert all("AnyIO worker thread" in name for name in store.threads)


# when storing fails


def test_a_database_that_is_away_makes_meta_send_it_again(client: httpx.Client, store: Store) -> None:
    store.trouble = lambda _update: Unavailable("no connection")
    answer = post(client, BODY)
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def test_a_number_whose_database_is_away_is_not_asked_again_and_the_others_go_on(client: httpx.Client, store: Store) -> None:
    store.trouble = lambda update: Unavailable("away") if update.phone_number_id == "11" else None
    answer = post(client, encoded(text(1, number="11"), text(2, number="22"), text(3, number="11"), text(4, number="22")))
    assert answer.status_code == 503
    assert store.tried == ["11", "22", "22"]
    assert [each.wamid for each in store.kept if isinstance(each, Incoming)] == ["wamid.2", "wamid.4"]


def test_when_three_numbers_are_away_the_rest_is_not_tried(client: httpx.Client, store: Store) -> None:
    store.trouble = lambda _update: Unavailable("away")
    assert post(client, encoded(*(text(n, number=str(n)) for n in range(9)))).status_code == 503
    assert store.tried == ["0", "1", "2"]


def test_one_update_that_fails_does_not_hold_up_the_others(client: httpx.Client, store: Store) -> None:
    store.trouble = lambda update: KeyError(PHONE) if isinstance(update, Incoming) and update.wamid == "wamid.1" else None
    assert post(client, encoded(text(1), text(2))).status_code == 500
    assert [each.wamid for each in store.kept if isinstance(each, Incoming)] == ["wamid.2"]


def test_the_log_counts_and_never_shows_a_phone(client: httpx.Client, store: Store) -> None:
    store.trouble = lambda update: KeyError(PHONE) if isinstance(update, Incoming) and update.wamid == "wamid.1" else None
    with capture_logs() as lines:
        post(client, encoded(text(1), text(2)))
    failed, received = lines
    assert (failed["event"], failed["error"], failed["phone_number_id"]) == (
        "webhook_update_failed",
        "KeyError",
        "100000000000001",
    )
    assert any("test_webhook.py" in place for place in failed["where"])
    assert (received["event"], received["updates"], received["failed"]) == ("webhook_received", {"Incoming": 2}, 1)
    assert PHONE not in json.dumps(lines)


def test_receiving_does_not_pay_for_pywa() -> None:
    program = "import sys, conversation.webhook; sys.exit('pywa' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
