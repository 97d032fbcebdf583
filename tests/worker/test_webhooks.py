"""Events on their way to vendors, against real receivers."""

import json
import socket
import ssl
import threading
from base64 import b64decode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import redis
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from rq import Queue
from rq.serializers import JSONSerializer

from router import events
from router.databases import Databases
from router.errors import Broken, Refused
from router.events import EventType
from router.ids import VendorId
from router.seeding import DUKA_LA_PILI
from router.wakeups import Job, QueueName
from router.webhooks import deliveries, endpoints
from router.webhooks.addresses import check_url, is_public
from router.webhooks.deliveries import DISABLED_AFTER, WAITS
from router.webhooks.endpoints import Endpoint
from router.webhooks.signing import Signing
from router.work import Work, unit_of_work
from soko.assembly import open_databases
from soko.clock import utc_now
from soko.embedded import Urls
from soko.settings import Settings
from tests.router.api import open_shared_api
from tests.router.asgi import Client
from tests.router.horizon import settle
from tests.worker.test_jobs import Clock, tools_at
from worker import webhooks
from worker.jobs import deliver_events
from worker.sweep import sweep
from worker.tools import Tools, hold

PAGE = Path(__file__).parents[2] / "docs" / "events.md"
SIGNING = Signing(open_keys=lambda: ["a webhook key of 32 characters or more"], public_only=False)


class Receiver(ThreadingHTTPServer):
    """A vendor's server: answers what it is told to, and keeps what came."""

    daemon_threads = True

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[int] = []  # the next ones; then 204
        self.more: dict[str, str] = {}
        self.at_once = self.most_at_once = 0
        self.go_on = threading.Event()
        self.go_on.set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/hook"

    @property
    def ids(self) -> list[str]:
        return [headers["webhook-id"] for headers, _ in self.came]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Receiver)
        body = self.rfile.read(int(self.headers["content-length"]))
        server.came.append(({name.lower(): value for name, value in self.headers.items()}, body))
        server.at_once += 1
        server.most_at_once = max(server.most_at_once, server.at_once)
        server.go_on.wait(20)
        server.at_once -= 1
        self.send_response(server.answers.pop(0) if server.answers else 204)
        for name, value in server.more.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 — its name there
        pass


@contextmanager
def receiving() -> Iterator[Receiver]:
    with Receiver() as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.go_on.set()
        server.shutdown()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


@pytest.fixture
def clock(now: datetime) -> Clock:
    return Clock(now)


@pytest.fixture
def tools(databases: Databases, settings: Settings, clock: Clock) -> Iterator[Tools]:
    with tools_at(databases, settings, "http://127.0.0.1:1", clock) as made:
        object.__setattr__(made, "signing", SIGNING)
        yield made


def subscribe(tools: Tools, vendor_id: VendorId, url: str, *types: EventType) -> UUID:
    with unit_of_work(tools.databases, vendor_id) as work:
        return endpoints.create(work, url=url, types=types or None, public_only=False, now=tools.clock()).id


def deliver(tools: Tools, vendor_id: VendorId) -> None:
    settle(tools.databases, vendor_id)
    deliver_events.deliver(tools, vendor_id)


def happen(tools: Tools, vendor_id: VendorId, *types: EventType) -> None:
    for each in types or (EventType.ORDER_PAID,):
        with unit_of_work(tools.databases, vendor_id) as work:
            events.append(work, type=each, subject="S0001", data={"total": 590, "name": "Njambi"}, now=tools.clock())


def look(tools: Tools, vendor_id: VendorId, endpoint_id: UUID) -> Endpoint:
    with unit_of_work(tools.databases, vendor_id) as work:
        return endpoints.get(work, endpoint_id)


def stand(tools: Tools, vendor_id: VendorId, endpoint_id: UUID) -> list[tuple[str, int, int | None]]:
    with unit_of_work(tools.databases, vendor_id) as work:
        found = deliveries.list_last(work, endpoint_id, status=None, limit=100)
    return [(each.status, each.attempts, each.answer) for each in reversed(found)]


def verified(came: tuple[dict[str, str], bytes], secret: str, now: datetime) -> bool:
    """Run the verifier that we publish."""
    told: dict[str, Any] = {}
    exec(PAGE.read_text().partition("```python")[2].partition("```")[0], told)
    return bool(told["is_genuine"](*came, secret, now.timestamp()))


@pytest.mark.security(13)
def test_what_happens_after_the_subscription_arrives_once_signed_and_as_a_cloudevent(
    tools: Tools, vendor_id: VendorId, receiver: Receiver
) -> None:
    happen(tools, vendor_id)
    settle(tools.databases, vendor_id)
    endpoint_id = subscribe(tools, vendor_id, receiver.url, EventType.ORDER_PAID, EventType.ORDER_CANCELLED)
    happen(tools, vendor_id, EventType.ORDER_PAID, EventType.ORDER_PLACED, EventType.ORDER_CANCELLED)
    happen(tools, VendorId(DUKA_LA_PILI))
    for _ in range(2):
        deliver(tools, vendor_id)
    assert sorted(json.loads(body)["type"] for _, body in receiver.came) == ["soko.order_cancelled.v1", "soko.order_paid.v1"]
    with unit_of_work(tools.databases, vendor_id) as work:
        told = [events.to_envelope(vendor_id, each) for each in events.read(work, after=events.START, limit=10)]
    for headers, body in receiver.came:
        assert json.loads(body) in told
        assert headers["webhook-id"] == json.loads(body)["id"]
        assert int(headers["webhook-timestamp"]) == int(tools.clock().timestamp())
        assert verified((headers, body), SIGNING.secret(endpoint_id, 1), tools.clock())
        assert not verified((headers, body + b" "), SIGNING.secret(endpoint_id, 1), tools.clock())
    assert stand(tools, vendor_id, endpoint_id) == [("delivered", 1, 204)] * 2
    (headers, body), secret = receiver.came[0], SIGNING.secret(endpoint_id, 1)
    later = tools.clock() + timedelta(minutes=6)
    assert not verified((headers, body), secret, later), "overheard, and repeated"
    assert not verified((headers | {"webhook-timestamp": str(int(later.timestamp()))}, body), secret, later)


@pytest.mark.security(14)
def test_after_a_rotation_both_secrets_verify_for_a_day_and_a_new_platform_key_signs_beside_the_old(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock
) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    with unit_of_work(tools.databases, vendor_id) as work:
        assert endpoints.rotate(work, endpoint_id, now=clock()).version == 2
    old, new = (SIGNING.secret(endpoint_id, version) for version in (1, 2))
    for hours, good in ((0, [True, True]), (25, [False, True])):
        clock.now += timedelta(hours=hours)
        happen(tools, vendor_id)
        deliver(tools, vendor_id)
        assert [verified(receiver.came[-1], secret, clock()) for secret in (old, new)] == good
    after = Signing(open_keys=lambda: ["another webhook key of 32 characters", *SIGNING.open_keys()], public_only=False)
    object.__setattr__(tools, "signing", after)
    happen(tools, vendor_id)
    deliver(tools, vendor_id)
    assert [verified(receiver.came[-1], each.secret(endpoint_id, 2), clock()) for each in (SIGNING, after)] == [True, True]
    assert after.secret(endpoint_id, 2) != new


def test_a_failed_delivery_is_tried_for_three_days_under_one_id_and_then_again_when_the_vendor_asks(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock
) -> None:
    receiver.more["Location"] = receiver.url
    receiver.answers = [500, 302, 404, 429, 500, 500, 500, 500, 500, 500]
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    happen(tools, vendor_id)
    begun = clock.now
    for tried in range(1, len(WAITS) + 2):
        deliver(tools, vendor_id)
        deliver(tools, vendor_id)
        assert len(receiver.came) == tried, "neither twice at once nor after a redirect"
        clock.now += timedelta(seconds=max(0.0, WAITS[min(tried, len(WAITS)) - 1] * 1.21))
    assert clock.now - begun > timedelta(days=3)
    assert stand(tools, vendor_id, endpoint_id) == [("failed", 10, 500)]
    with unit_of_work(tools.databases, vendor_id) as work:
        assert deliveries.resend(work, endpoint_id, None, now=clock()) == 1
    deliver(tools, vendor_id)
    with unit_of_work(tools.databases, vendor_id) as work:
        assert deliveries.resend(work, endpoint_id, receiver.ids[0], now=clock()) == 1
    deliver(tools, vendor_id)
    assert stand(tools, vendor_id, endpoint_id) == [("delivered", 1, 204)]
    assert len(receiver.ids) == 12
    assert len(set(receiver.ids)) == 1
    assert look(tools, vendor_id, endpoint_id).failures == 0


def test_an_endpoint_that_fails_is_asked_with_one_event_rests_as_it_wishes_and_then_gets_all(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock
) -> None:
    receiver.answers, receiver.more["Retry-After"] = [503, 503], "900"
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    happen(tools, vendor_id)
    deliver(tools, vendor_id)
    happen(tools, vendor_id, *[EventType.ORDER_PAID] * 12)
    deliver(tools, vendor_id)
    assert len(receiver.came) == 1, "it rests"
    clock.now += timedelta(seconds=901)
    deliver(tools, vendor_id)
    assert len(receiver.came) == 2, "and is asked with one"
    clock.now += timedelta(seconds=901)
    deliver(tools, vendor_id)
    assert len(set(receiver.ids)) == 13
    assert stand(tools, vendor_id, endpoint_id).count(("delivered", 1, 204)) >= 11


@pytest.mark.parametrize("gone", [True, False])
def test_who_is_gone_or_fails_for_days_is_disabled_told_of_and_misses_nothing_when_enabled(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock, capsys: pytest.CaptureFixture[str], *, gone: bool
) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url, EventType.ORDER_PAID)
    receiver.answers = [410] if gone else [500, 500]
    happen(tools, vendor_id)
    deliver(tools, vendor_id)
    if not gone:
        assert look(tools, vendor_id, endpoint_id).disabled_at is None
        clock.now += DISABLED_AFTER
        deliver(tools, vendor_id)
    found = look(tools, vendor_id, endpoint_id)
    assert found.disabled_at == clock.now
    assert ("410" if gone else "5 days") in (found.disabled_because or "")
    assert "webhook_disabled" in capsys.readouterr().out
    happen(tools, vendor_id)
    clock.now += timedelta(days=30)
    before = len(receiver.came)
    deliver(tools, vendor_id)
    assert len(receiver.came) == before
    with unit_of_work(tools.databases, vendor_id) as work:
        told = [each.type for each in events.read(work, after=events.START, limit=10)]
        assert told == ["order_paid", "webhook_disabled", "order_paid"]
        endpoints.enable(work, endpoint_id)
    deliver(tools, vendor_id)
    assert len(set(receiver.ids)) == 2


def test_an_endpoint_that_hangs_delays_no_other_of_its_vendor_or_of_another(
    tools: Tools, vendor_id: VendorId, receiver: Receiver
) -> None:
    other = VendorId(DUKA_LA_PILI)
    receiver.go_on.clear()
    with receiving() as quick:
        hanging = subscribe(tools, vendor_id, receiver.url)
        well = {vendor: subscribe(tools, vendor, f"{quick.url}/{vendor}") for vendor in (vendor_id, other)}
        for more, told in ((20, 20), (1, 21)):
            for vendor in well:
                happen(tools, vendor, *[EventType.ORDER_PAID] * more)
            want = [("delivered", 1, 204)] * told  # the suite's own timeout ends this
            while not receiver.came or any(stand(tools, *each) != want for each in well.items()):
                sweep(tools, [Job.WEBHOOK])
        for vendor in well:
            came = [each for each in quick.ids if each.startswith(f"evt_{vendor.hex}")]
            assert came == in_order(vendor, came)
        assert len(receiver.came) == 1
        assert stand(tools, vendor_id, hanging)[:20] == [("sending", 1, None)] + [("pending", 0, None)] * 19
        receiver.go_on.set()
        wait_until(lambda: not any(each.name.startswith("webhook ") for each in threading.enumerate()))
        assert stand(tools, vendor_id, hanging)[:20] == [("delivered", 1, 204)] * 20
    assert receiver.most_at_once == 1


def wait_until(true: Callable[[], bool]) -> None:
    waiting = threading.Event()
    while not true():  # the suite's own timeout ends this
        waiting.wait(0.02)


def test_two_workers_deliver_each_event_once_and_in_order(tools: Tools, vendor_id: VendorId, receiver: Receiver) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    happen(tools, vendor_id, *[EventType.ORDER_PAID] * 40)
    settle(tools.databases, vendor_id)

    def work() -> None:  # one that finds the other at it goes, and looks again
        while len(receiver.came) < 40:
            deliver_events.deliver(tools, vendor_id)

    with ThreadPoolExecutor(4) as workers:
        for each in [workers.submit(work) for _ in range(4)]:
            each.result()
    assert receiver.ids == in_order(vendor_id, receiver.ids)
    assert len(receiver.ids) == 40
    assert receiver.most_at_once == 1
    assert stand(tools, vendor_id, endpoint_id) == [("delivered", 1, 204)] * 40


def test_the_database_lets_one_delivery_to_a_webhook_be_on_its_way(tools: Tools, vendor_id: VendorId, receiver: Receiver) -> None:
    subscribe(tools, vendor_id, receiver.url)
    happen(tools, vendor_id, *[EventType.ORDER_PAID] * 2)
    settle(tools.databases, vendor_id)
    with unit_of_work(tools.databases, vendor_id) as work:
        deliveries.plan(work, now=tools.clock())
    with pytest.raises(Broken, match="webhook_deliveries_held"), tools.databases.ops(vendor_id) as conn:
        conn.execute("UPDATE webhook_deliveries SET status = 'sending'")


def test_over_a_short_outage_events_keep_their_order(tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    receiver.answers = [502, 502]
    happen(tools, vendor_id, *[EventType.ORDER_PAID] * 3)
    while len(receiver.ids) < 5:  # the suite's own timeout ends this
        deliver(tools, vendor_id)
        happen(tools, vendor_id)
        clock.now = look(tools, vendor_id, endpoint_id).rest_until or clock.now
    assert receiver.ids[:2] == [receiver.ids[2]] * 2
    assert receiver.ids[2:] == in_order(vendor_id, receiver.ids[2:])


def in_order(vendor_id: VendorId, ids: list[str]) -> list[str]:
    numbers = sorted(int(each.rpartition("_")[2]) for each in ids)
    return [events.to_id(vendor_id, number) for number in numbers]


@pytest.fixture
def queue(tools: Tools, settings: Settings, database_urls: dict[str, str], redis_url: str) -> Iterator[Queue]:
    """Give the queue of the worker that delivers, and the databases as every process opens them."""
    urls = Urls(**database_urls, redis=redis_url)
    with open_databases(settings, urls) as opened, redis.Redis.from_url(redis_url) as client:
        object.__setattr__(tools, "databases", opened)
        hold(tools)
        yield Queue(QueueName.EVENTS, connection=client, serializer=JSONSerializer)


def test_a_commit_wakes_the_worker_which_delivers_before_any_sweep(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, queue: Queue
) -> None:
    made = [subscribe(tools, vendor_id, f"{receiver.url}/{number}") for number in range(3)]
    with unit_of_work(tools.databases, vendor_id) as work:
        events.append(work, type=EventType.ORDER_PAID, subject="S0001", data={}, now=tools.clock())
        assert queue.jobs == [], "a worker that looked now would see nothing"
    (job,) = queue.jobs
    assert (job.func_name, job.args, job.kwargs) == (Job.WEBHOOK, [str(vendor_id)], {}), "whose events, and nothing of them"
    settle(tools.databases, vendor_id)
    job.perform()
    wait_until(lambda: all(stand(tools, vendor_id, each) == [("delivered", 1, 204)] for each in made))


def test_what_is_rolled_back_or_awaited_by_nobody_wakes_nobody(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, queue: Queue
) -> None:
    happen(tools, vendor_id)
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    happen(tools, VendorId(DUKA_LA_PILI))
    with suppress(LookupError), unit_of_work(tools.databases, vendor_id) as work:
        events.append(work, type=EventType.ORDER_PAID, subject="S0001", data={}, now=tools.clock())
        raise LookupError
    with unit_of_work(tools.databases, vendor_id) as work:
        endpoints.disable(work, endpoint_id, because="it answered 410, gone", now=tools.clock())
    assert queue.jobs == []


@pytest.mark.parametrize(
    "ask",
    [
        lambda work, webhook, now: endpoints.ping(work, webhook, now=now),
        lambda work, webhook, _now: endpoints.enable(work, webhook),
        lambda work, webhook, now: deliveries.resend(work, webhook, None, now=now),
    ],
    ids=["ping", "enable", "resend"],
)
def test_what_a_vendor_asks_of_a_webhook_wakes_the_worker(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, queue: Queue, ask: Callable[[Work, UUID, datetime], object]
) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    with unit_of_work(tools.databases, vendor_id) as work:
        ask(work, endpoint_id, tools.clock())
    assert [job.func_name for job in queue.jobs] == [Job.WEBHOOK]


def test_a_ping_goes_to_the_endpoint_that_was_pinged_alone(tools: Tools, vendor_id: VendorId, receiver: Receiver) -> None:
    pinged = subscribe(tools, vendor_id, receiver.url, EventType.ORDER_PAID)
    everything = subscribe(tools, vendor_id, receiver.url + "/all")
    with unit_of_work(tools.databases, vendor_id) as work:
        endpoints.ping(work, pinged, now=tools.clock())
    deliver(tools, vendor_id)
    assert stand(tools, vendor_id, pinged) == [("delivered", 1, 204)]
    assert stand(tools, vendor_id, everything) == []


def test_a_delivery_whose_worker_was_killed_is_taken_over(
    tools: Tools, vendor_id: VendorId, receiver: Receiver, clock: Clock
) -> None:
    endpoint_id = subscribe(tools, vendor_id, receiver.url)
    happen(tools, vendor_id)
    settle(tools.databases, vendor_id)
    with unit_of_work(tools.databases, vendor_id) as work:
        deliveries.plan(work, now=clock())
        assert deliveries.claim(work, endpoint_id, now=clock(), lease_seconds=60) is not None
    for seconds, came in ((59, 0), (1, 1)):
        clock.now += timedelta(seconds=seconds)
        deliver(tools, vendor_id)
        assert len(receiver.came) == came


INSIDE = [
    "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "192.0.0.192",
    "168.63.129.16", "0.0.0.0", "224.0.0.1", "255.255.255.255", "240.0.0.1", "198.18.0.1", "203.0.113.7", "::1", "::",
    "fe80::1", "fe80::1%eth0", "fc00::1", "fd00:ec2::254", "fec0::1", "ff02::1", "2001:db8::1", "::ffff:127.0.0.1",
    "::ffff:169.254.169.254", "::ffff:a00:1", "::7f00:1", "64:ff9b::7f00:1", "64:ff9b:1::1", "2002:7f00:1::", "2001:0:1::1",
]  # fmt: skip


@pytest.mark.security(17)
def test_no_address_of_our_own_network_is_public_in_whatever_form() -> None:
    assert [address for address in INSIDE if is_public(address)] == []
    assert all(is_public(address) for address in ("8.8.8.8", "1.1.1.1", "::ffff:8.8.8.8", "2606:4700::1111"))


@pytest.mark.security(17)
def test_a_name_that_leads_inside_is_not_connected_to_and_what_was_judged_is_what_is_connected_to(receiver: Receiver) -> None:
    asked: list[str] = []

    def post(url: str, *answers: str, public_only: bool = True) -> webhooks.Answer:
        def look_up(host: str, _port: int) -> list[str]:
            asked.append(host)
            return list(answers)

        return webhooks.post(url, headers={}, body=b"{}", public_only=public_only, look_up=look_up)

    port = receiver.server_port
    for inside in (["127.0.0.1"], ["8.8.8.8", "127.0.0.1"], ["::ffff:127.0.0.1"]):
        answer = post(f"http://shop.example:{port}/", *inside)
        assert answer.status is None
        assert "no address of the open Internet" in answer.error
    assert receiver.came == []
    asked.clear()
    # Nobody but our look-up knows this name: that it arrives shows that the connection went to the address that was judged.
    assert post(f"http://shop.example:{port}/", "127.0.0.1", public_only=False).status == 204
    assert asked == ["shop.example"]
    assert receiver.came[0][0]["host"] == f"shop.example:{port}"


@pytest.mark.parametrize(
    ("host", "trusts", "answer"),
    [
        ("hooks.duka.example", "ours", (204, "")),
        ("other.duka.example", "ours", (None, "certificate is not valid for 'other.duka.example'")),
        ("hooks.duka.example", "others", (None, "unable to get local issuer certificate")),
    ],
)
def test_over_tls_the_name_is_proven_by_a_certificate_and_the_address_is_the_judged_one(
    host: str, trusts: str, answer: tuple[int | None, str], tmp_path: Path, trust: Callable[[Path], None], receiver: Receiver
) -> None:
    authority, server = make_certificates(tmp_path, "hooks.duka.example")
    if trusts == "ours":
        trust(authority)
    asked = speak_tls(receiver, server)
    came = webhooks.post(
        f"https://{host}:{receiver.server_port}/hook",
        headers={"webhook-id": "evt_1"},
        body=b"{}",
        public_only=False,
        look_up=lambda _host, _port: ["127.0.0.1"],
    )
    assert (came.status, answer[1] in came.error) == (answer[0], True), came.error
    assert asked == [host]
    assert receiver.ids == (["evt_1"] if answer[0] else [])


def test_an_event_arrives_over_tls_and_where_the_certificate_proves_another_name_the_vendor_reads_so(
    tools: Tools, vendor_id: VendorId, tmp_path: Path, trust: Callable[[Path], None], receiver: Receiver
) -> None:
    authority, server = make_certificates(tmp_path, "localhost")
    trust(authority)
    asked = speak_tls(receiver, server)
    good, bad = (subscribe(tools, vendor_id, f"https://{host}:{receiver.server_port}/") for host in ("localhost", "127.0.0.1"))
    happen(tools, vendor_id)
    deliver(tools, vendor_id)
    assert stand(tools, vendor_id, good) == [("delivered", 1, 204)]
    assert stand(tools, vendor_id, bad) == [("pending", 1, None)]
    with unit_of_work(tools.databases, vendor_id) as work:
        (left,) = deliveries.list_last(work, bad, status="pending", limit=10)
    assert "certificate is not valid for '127.0.0.1'" in (left.error or "")
    assert sorted(asked, key=str) == [None, "localhost"], "an address is asked for without a name"
    (came,) = receiver.came
    assert verified(came, SIGNING.secret(good, 1), tools.clock())


def test_who_never_begins_tls_or_speaks_none_is_an_error(trust: Callable[[Path], None], receiver: Receiver) -> None:
    del trust
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        assert "no answer in" in webhooks.post(url, headers={}, body=b"{}", public_only=False, seconds=0.3).error
    assert "SSL" in webhooks.post(receiver.url.replace("http:", "https:"), headers={}, body=b"{}", public_only=False).error
    assert receiver.came == []


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Give what makes this machine trust an authority until the test is over."""
    webhooks._authorities.cache_clear()
    yield lambda authority: monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    webhooks._authorities.cache_clear()


def speak_tls(receiver: Receiver, certificate: Path) -> list[str | None]:
    """Let a receiver speak TLS, and give the list of names that it is asked for."""
    asked: list[str | None] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    context.sni_callback = lambda _socket, name, _context: asked.append(name)
    receiver.socket = context.wrap_socket(receiver.socket, server_side=True)
    return asked


def make_certificates(folder: Path, host: str) -> tuple[Path, Path]:
    """Write an authority, and the key and certificate that it gives to a host, valid around now."""
    now = utc_now()
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in ("an authority", host)]

    def build(number: int) -> x509.Certificate:
        made = x509.CertificateBuilder().subject_name(names[number]).issuer_name(names[0]).public_key(keys[number].public_key())
        made = made.serial_number(number + 1).not_valid_before(now - timedelta(hours=1)).not_valid_after(now + timedelta(hours=1))
        if number == 0:
            return made.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True).sign(keys[0], SHA256())
        return made.add_extension(x509.SubjectAlternativeName([x509.DNSName(host)]), critical=False).sign(keys[0], SHA256())

    authority, server = folder / "authority.pem", folder / "server.pem"
    authority.write_bytes(build(0).public_bytes(Encoding.PEM))
    server.write_bytes(
        keys[1].private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()) + build(1).public_bytes(Encoding.PEM)
    )
    return authority, server


def test_an_answer_that_never_ends_ends_with_the_call_and_one_that_is_none_is_an_error() -> None:
    def serve(listener: socket.socket, drip: bytes) -> None:
        with closing(listener.accept()[0]) as conn:
            conn.recv(65536)
            pause = threading.Event()
            while drip:
                try:
                    conn.sendall(drip)
                except OSError:
                    return
                pause.wait(0.05)

    for drip, error in ((b"H", "Error"), (b"HTTP/1.1 103 Early Hints\r\n\r\n", "no answer in"), (b"", "Error")):
        with closing(socket.create_server(("127.0.0.1", 0))) as listener:
            thread = threading.Thread(target=serve, args=(listener, drip))
            thread.start()
            url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
            answer = webhooks.post(url, headers={}, body=b"{}", public_only=False, seconds=0.3)
            thread.join()
        assert answer.status is None
        assert error in answer.error or "no answer in" in answer.error
    assert "Error" in webhooks.post("http://127.0.0.1:1/", headers={}, body=b"", public_only=False).error


@pytest.mark.parametrize(
    "url",
    ["http://shop.example/", "https://127.0.0.1/", "https://[::1]/", "https://localhost/", "https://db.internal/", "https://u:p@shop.example/",
     "https://shop.example/#x", "ftp://shop.example/", "https://", "https://shop.example:x/", "https://2130706433/", "no url"],
)  # fmt: skip
def test_an_address_that_cannot_be_a_vendors_is_refused_when_it_is_given(url: str) -> None:
    with pytest.raises(Refused) as refused:
        check_url(url, public_only=True)
    assert refused.value.code == "bad_url"


def test_a_vendor_keeps_its_webhooks_over_http(databases: Databases, now: datetime, vendor_id: VendorId) -> None:
    client = Client(open_shared_api(databases, now))
    headers = {"x-vendor-id": str(vendor_id), "x-internal-key": "dev-internal-secret"}

    def ask(method: str, path: str, body: object = None, **other: str) -> tuple[int, Any]:
        answer = client.send(method, path, headers | {k.replace("_", "-"): v for k, v in other.items()}, json=body)
        return answer.status_code, answer.json()

    status, made = ask("POST", "/webhooks", {"url": "https://shop.example/hook", "types": ["order_paid"]})
    path = f"/webhooks/{made['webhook']['id']}"
    assert (status, made["secret"][:6], len(b64decode(made["secret"][6:]))) == (201, "whsec_", 32)
    assert ask("POST", "/webhooks", {"url": "https://shop.example/hook"})[1]["type"] == "urn:soko:webhook_exists"
    assert ask("POST", "/webhooks", {"url": "https://10.0.0.1/"})[0] == 422
    assert ask("GET", "/webhooks")[1]["items"] == [made["webhook"]]
    assert ask("GET", "/webhooks?disabled=true")[1]["items"] == []
    assert ask("GET", "/webhooks", x_vendor_id=str(DUKA_LA_PILI))[1]["items"] == []
    assert ask("POST", f"{path}/rotate", {}, x_vendor_id=str(DUKA_LA_PILI))[0] == 404
    rotated = ask("POST", f"{path}/rotate", {})[1]
    assert rotated["secret"] != made["secret"]
    assert datetime.fromisoformat(rotated["webhook"]["old_secret_until"]) == now + timedelta(days=1)
    assert ask("POST", f"{path}/ping", {})[0] == 200
    settle(databases, vendor_id)
    (event,) = ask("GET", "/events")[1]["items"]
    assert (event["type"], event["subject"]) == ("soko.webhook_pinged.v1", made["webhook"]["id"])
    assert ask("POST", f"{path}/resend", {"event_id": event["id"]}) == (200, {"resent": 1})
    assert ask("POST", f"{path}/resend", {"event_id": "evt_1"})[0] == 404
    assert [each["event_id"] for each in ask("GET", f"{path}/deliveries?status=pending")[1]["items"]] == [event["id"]]
    assert ask("POST", f"{path}/enable", {})[0] == 200
    for number in range(9):
        assert ask("POST", "/webhooks", {"url": f"https://shop.example/{number}"})[0] == 201
    assert ask("POST", "/webhooks", {"url": "https://shop.example/more"})[1]["type"] == "urn:soko:too_many_webhooks"
    assert ask("DELETE", path)[0] == 200
    assert ask("DELETE", path)[0] == 404


def test_the_page_lists_every_event() -> None:
    listed = [line.split("`")[1] for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert listed == [str(each) for each in EventType]
