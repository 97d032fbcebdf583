"""What leaves for Meta, byte for byte, and what each answer means: against a small Graph API, then against our simulator."""

import json
import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

import httpx
import pytest
from fastapi import Depends, FastAPI, Request, Response

from conversation.whatsapp.outbound import CloudApi, Later, Refused, SendOutcome, Sent, Unknown
from soko.simulators.recording import raw_body
from soko.simulators.serving import Dropped, Late, running
from soko.simulators.whatsapp import NUMBERS
from soko.simulators.whatsapp import build_app as build_whatsapp

PHONE = "254712345678"
BSUID = "KE.9aBcD"
TAKEN = {"messaging_product": "whatsapp", "contacts": [{"input": PHONE, "wa_id": PHONE}], "messages": [{"id": "wamid.1"}]}
IMPATIENT = httpx.Timeout(connect=2, write=2, read=0.4, pool=2)


@dataclass
class Graph:
    """A Graph API that answers what it was told to, and keeps what it was sent."""

    answer: Response = field(default_factory=Response)
    requests: list[tuple[str, str, Any]] = field(default_factory=list)

    def will(self, body: object, status: int = 200, **headers: str) -> None:
        content = body if isinstance(body, str) else json.dumps(body)
        self.answer = Response(content, status, headers)

    def stop(self) -> None:
        pass

    def close(self) -> None:
        pass


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[Graph, CloudApi]]:
    graph, app = Graph(), FastAPI(title="graph")
    app.state.simulator = graph

    @app.post("/{path:path}")
    def take(path: str, request: Request, body: Annotated[bytes, Depends(raw_body)]) -> Response:
        graph.requests.append((f"/{path}", request.headers["authorization"], json.loads(body)))
        return graph.answer

    with running(app) as url:
        api = CloudApi(base_url=f"{url}/v26.0/")
        yield graph, api
        api.close()


@pytest.fixture
def graph(served: tuple[Graph, CloudApi]) -> Graph:
    served[0].requests.clear()
    served[0].will(TAKEN)
    return served[0]


@pytest.fixture
def api(served: tuple[Graph, CloudApi]) -> CloudApi:
    return served[1]


def send(api: CloudApi, message: Mapping[str, Any] | None = None, **changes: Any) -> SendOutcome:
    usual = {"token": "token-1", "phone_number_id": "100000000000001", "recipient": PHONE, "tracker": "outbox:7"}
    return api.send(message=message or {"text": "Karibu"}, **(usual | changes))


# what is sent

BUTTONS = [{"id": "v1:pay", "title": "PAY"}, {"id": "v1:no", "title": "Hapana"}]
ROWS = [{"id": "v1:unga", "title": "Unga", "about": "KES 150"}, {"id": "v1:sukari", "title": "Sukari"}]
SHAPES: Mapping[str, tuple[Any, Any]] = {
    "text": ({"text": "Karibu 🌽"}, {"type": "text", "text": {"body": "Karibu 🌽"}}),
    "buttons": (
        {"text": "Pay now?", "buttons": BUTTONS},
        {
            "type": "interactive",
            "interactive": {
                "type": "button",
                "body": {"text": "Pay now?"},
                "action": {"buttons": [{"type": "reply", "reply": each} for each in BUTTONS]},
            },
        },
    ),
    "list": (
        {"text": "Pick", "list": {"button": "Products", "rows": ROWS}},
        {
            "type": "interactive",
            "interactive": {
                "type": "list",
                "body": {"text": "Pick"},
                "action": {
                    "button": "Products",
                    "sections": [
                        {
                            "rows": [
                                {"id": "v1:unga", "title": "Unga", "description": "KES 150"},
                                {"id": "v1:sukari", "title": "Sukari"},
                            ]
                        }
                    ],
                },
            },
        },
    ),
}


@pytest.mark.parametrize(("message", "content"), SHAPES.values(), ids=SHAPES.keys())
def test_a_message_leaves_as_one_request_in_meta_s_words(graph: Graph, api: CloudApi, message: Any, content: Any) -> None:
    assert send(api, message) == Sent(wamid="wamid.1")
    envelope = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": "+254712345678"}
    body = {**envelope, **content, "biz_opaque_callback_data": "outbox:7"}
    assert graph.requests == [("/v26.0/100000000000001/messages", "Bearer token-1", body)]


@pytest.mark.parametrize("bsuid", [BSUID, "KE.1234567890", "KE.ENT.9aBcD"])
def test_a_user_id_goes_to_recipient_because_meta_drops_it_in_to(graph: Graph, api: CloudApi, bsuid: str) -> None:
    assert send(api, recipient=bsuid) == Sent(wamid="wamid.1")
    [(_, _, body)] = graph.requests
    assert body["recipient"] == bsuid
    assert "to" not in body
    assert body["recipient_type"] == "individual"


def test_one_client_serves_the_numbers_of_a_token_and_each_token_has_its_own(graph: Graph, api: CloudApi) -> None:
    for token, number in [("token-1", "11"), ("token-2", "22"), ("token-1", "33")]:
        send(api, token=token, phone_number_id=number)
    assert [(path, bearer) for path, bearer, _ in graph.requests] == [
        ("/v26.0/11/messages", "Bearer token-1"),
        ("/v26.0/22/messages", "Bearer token-2"),
        ("/v26.0/33/messages", "Bearer token-1"),
    ]


# what is not sent

UNSENDABLE: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "text too long": ({"message": {"text": "x" * 4097}}, "text: 4097 characters, at most 4096"),
    "no text": ({"message": {"buttons": BUTTONS}}, "text: is missing"),
    "recipient of a group": ({"recipient": "120363012345@g.us"}, "neither a phone number nor a business-scoped user id"),
    "empty recipient": ({"recipient": ""}, "neither a phone number nor a business-scoped user id"),
    "number id with a path in it": ({"phone_number_id": "1/../2"}, "'1/../2' is not a phone number id"),
    "long tracker": ({"tracker": "x" * 513}, "tracker: 513 characters, at most 512"),
}


@pytest.mark.parametrize(("changes", "said"), UNSENDABLE.values(), ids=UNSENDABLE.keys())
def test_what_meta_would_refuse_or_lose_is_refused_without_a_request(
    graph: Graph, api: CloudApi, changes: Mapping[str, Any], said: str
) -> None:
    outcome = send(api, **changes)
    assert isinstance(outcome, Refused)
    assert outcome.error.startswith("not sent: ")
    assert said in outcome.error
    assert graph.requests == []


@pytest.mark.parametrize("token", ["", "token\n", "to ken", "tokén"])
def test_a_token_that_cannot_be_one_waits_for_a_better_one_and_is_not_shown(graph: Graph, api: CloudApi, token: str) -> None:
    outcome = send(api, token=token)
    assert isinstance(outcome, Later)
    assert outcome.after_seconds == 300
    assert not token or token not in outcome.error
    assert graph.requests == []


# what the answers mean


def refusal(code: int, details: str | None = "Because.", **more: object) -> Mapping[str, object]:
    data = {} if details is None else {"error_data": {"messaging_product": "whatsapp", "details": details}}
    return {"error": {"message": f"(#{code}) Title", "type": "OAuthException", "code": code, "fbtrace_id": "A", **data, **more}}


def test_the_token_expired_so_the_message_is_kept(graph: Graph, api: CloudApi) -> None:
    graph.will(refusal(190), 401)
    assert send(api) == Later(
        after_seconds=300, error="190 Title: Because. (the access token is invalid or has expired: replace it)", code=190
    )


@pytest.mark.parametrize(
    ("status", "code", "wait_seconds"),
    [(500, 131000, 4), (503, 2, 4), (400, 130429, 3), (400, 131056, 6), (400, 131057, 60), (403, 10, 300), (400, 80007, 120)],
)
def test_what_passes_is_tried_later(graph: Graph, api: CloudApi, status: int, code: int, wait_seconds: int) -> None:
    graph.will(refusal(code), status)
    outcome = send(api)
    assert isinstance(outcome, Later)
    assert (outcome.after_seconds, outcome.code) == (wait_seconds, code)


@pytest.mark.parametrize("code", [131047, 131026, 131048, 100, 131009, 132001, 131042, 133010, 131030, 77777])
def test_what_does_not_pass_is_refused(graph: Graph, api: CloudApi, code: int) -> None:
    graph.will(refusal(code, details=None), 400)
    outcome = send(api)
    assert isinstance(outcome, Refused)
    assert outcome.code == code
    assert outcome.error.startswith(f"{code} Title (")


@pytest.mark.parametrize(("asked", "wait_seconds"), [("900", 900), ("1", 120), ("999999", 3600), ("soon", 120), ("-5", 120)])
def test_meta_s_own_wait_is_honoured_within_reason(graph: Graph, api: CloudApi, asked: str, wait_seconds: int) -> None:
    graph.will(refusal(4), 429, **{"Retry-After": asked})
    outcome = send(api)
    assert isinstance(outcome, Later)
    assert outcome.after_seconds == wait_seconds


@pytest.mark.parametrize(("status", "more"), [(429, {}), (400, {"is_transient": True})])
def test_an_unlisted_code_is_final_unless_meta_says_that_it_passes(
    graph: Graph, api: CloudApi, status: int, more: Mapping[str, Any]
) -> None:
    graph.will(refusal(77777, **more), status)
    assert isinstance(send(api), Later)


def test_a_proxy_that_passed_nothing_on_is_tried_later(graph: Graph, api: CloudApi) -> None:
    graph.will("<h1>Service unavailable</h1>", 503, **{"Retry-After": "30"})
    assert send(api) == Later(after_seconds=30, error="HTTP 503 from in front of WhatsApp")


@pytest.mark.parametrize("status", [500, 502, 504])
def test_a_proxy_that_may_have_passed_it_on_leaves_it_open(graph: Graph, api: CloudApi, status: int) -> None:
    graph.will("<h1>Bad gateway</h1>", status)
    assert send(api) == Unknown(error=f"HTTP {status} from in front of WhatsApp")


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 200),
        ("<html>", 200),
        ([], 200),
        ({}, 200),
        ({"messages": []}, 200),
        ({"messages": [{}]}, 200),
        ({"messages": [{"id": ""}]}, 200),
        ("moved", 302),
        ({"error": "odd"}, 400),
        ({"error": {"code": 1}}, 400),
        ({"error": {"code": "x", "message": "y"}}, 400),
    ],
    ids=str,
)
def test_an_answer_we_cannot_read_leaves_it_open(graph: Graph, api: CloudApi, body: object, status: int) -> None:
    graph.will(body, status)
    assert isinstance(send(api), Unknown)
    assert len(graph.requests) == 1


def test_a_lost_answer_leaves_it_open(graph: Graph, api: CloudApi) -> None:
    graph.answer = Dropped()
    assert isinstance(send(api), Unknown)
    assert len(graph.requests) == 1


def test_a_late_answer_leaves_it_open(graph: Graph, api: CloudApi) -> None:
    graph.answer = Late(Response(json.dumps(TAKEN)), after_seconds=5)
    impatient = CloudApi(base_url=api._base_url, timeout=IMPATIENT)
    assert send(impatient) == Unknown(error="no answer that can be read: ReadTimeout")
    impatient.close()


def test_nobody_listening_means_later() -> None:
    api = CloudApi(base_url="http://127.0.0.1:9/v26.0")
    assert send(api) == Later(after_seconds=5, error="WhatsApp was not reached: ConnectError")
    api.close()


@pytest.mark.parametrize("status", [200, 500])
def test_no_log_line_shows_a_phone_or_a_token(graph: Graph, api: CloudApi, caplog: pytest.LogCaptureFixture, status: int) -> None:
    caplog.set_level(logging.DEBUG)
    graph.will(TAKEN if status == 200 else refusal(131000), status)
    send(api, token="very-secret-token")
    assert PHONE not in caplog.text
    assert "very-secret-token" not in caplog.text


# the simulator holds us to Meta's rules


@pytest.fixture
def simulated() -> Iterator[tuple[httpx.Client, CloudApi]]:
    with running(build_whatsapp(app_url="http://127.0.0.1:9", retry_waits_seconds=())) as url:
        api = CloudApi(base_url=f"{url}/v26.0")
        with httpx.Client(base_url=url, trust_env=False, verify=False) as http:
            http.put(f"/sim/phones/{PHONE}", json={"last_said_seconds_ago": 60, "statuses": []}).raise_for_status()
            yield http, api
        api.close()


def send_simulated(api: CloudApi, message: Any = None) -> SendOutcome:
    number = NUMBERS[0]
    return send(api, message, token=number.token, phone_number_id=number.phone_number_id)


@pytest.mark.parametrize("message", [each[0] for each in SHAPES.values()], ids=SHAPES.keys())
def test_the_simulator_takes_each_kind_of_message(simulated: tuple[httpx.Client, CloudApi], message: Any) -> None:
    http, api = simulated
    outcome = send_simulated(api, message)
    assert isinstance(outcome, Sent)
    [shown] = http.get("/sim/messages", params={"phone": PHONE}).json()
    assert (shown["wamid"], shown["text"]) == (outcome.wamid, message["text"])


def test_the_simulator_refuses_outside_the_24_hours(simulated: tuple[httpx.Client, CloudApi]) -> None:
    http, api = simulated
    http.put(f"/sim/phones/{PHONE}", json={"last_said_seconds_ago": 90_000}).raise_for_status()
    outcome = send_simulated(api)
    assert isinstance(outcome, Refused)
    assert outcome.code == 131047
    template = {"name": "ready", "language": "sw", "values": ["3", "Mteja"]}
    assert isinstance(send_simulated(api, {"text": "Vitu 3 tayari, Mteja.", "template": template}), Sent)


def test_the_simulator_refuses_another_number_s_token(simulated: tuple[httpx.Client, CloudApi]) -> None:
    _, api = simulated
    outcome = send(api, token=NUMBERS[1].token, phone_number_id=NUMBERS[0].phone_number_id)
    assert isinstance(outcome, Later)
    assert outcome.code == 190
