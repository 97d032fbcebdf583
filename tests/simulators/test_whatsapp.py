import hashlib
import hmac
import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import httpx
import pytest
from pywa.client import WhatsApp
from pywa.types.callback import Button, Section, SectionList, SectionRow

from soko.simulators.serving import running
from soko.simulators.whatsapp import build_app
from tests.simulators.conftest import Clock, Post, Receiver

NUMBER, OTHER_NUMBER = "100000000000001", "100000000000002"
PHONE = "254712345678"
Body = dict[str, Any]


@pytest.fixture(scope="module")
def base_url(session_clock: Clock, _receiving: tuple[Receiver, str]) -> Iterator[str]:
    app = build_app(app_url=_receiving[1], app_secret="s3cret", retry_waits_seconds=(0.05, 0.05, 0.05), clock=session_clock)
    with running(app) as url:
        yield url


class Meta:
    """A caller of the simulator: the app's side by the Graph API, the customers' side by /sim."""

    def __init__(self, http: httpx.Client, base_url: str) -> None:
        self.http, self.base_url = http, base_url

    def send(self, body: Body, *, token: str = "sim-token-1", number: str = NUMBER, **options: Any) -> httpx.Response:
        whole = {"messaging_product": "whatsapp", "recipient_type": "individual", "to": f"+{PHONE}", **body}
        headers = {"Authorization": f"Bearer {token}"}
        return self.http.post(f"{self.base_url}/v26.0/{number}/messages", json=whole, headers=headers, **options)

    def send_text(self, text: str = "Karibu", **more: Any) -> httpx.Response:
        return self.send({"type": "text", "text": {"body": text}, **more})

    def say(self, **what: Any) -> Body:
        sender = {} if "bsuid" in what else {"from": PHONE}
        answer = self.http.post(f"{self.base_url}/sim/say", json={"phone_number_id": NUMBER, **sender, **what})
        assert answer.status_code == 200, answer.text
        told: Body = answer.json()
        return told

    def script(self, **script: Any) -> None:
        self.http.put(f"{self.base_url}/sim/phones/{PHONE}", json=script).raise_for_status()

    def messages(self, **query: Any) -> list[Body]:
        chat: list[Body] = self.http.get(f"{self.base_url}/sim/messages", params={"phone": PHONE, "timeout": 5, **query}).json()
        return chat

    def deliveries(self) -> list[Body]:
        deliveries: list[Body] = self.http.get(f"{self.base_url}/sim/deliveries").json()
        return deliveries


@pytest.fixture
def meta(http: httpx.Client, base_url: str, clock: Clock, receiver: Receiver) -> Meta:
    assert receiver.posts == []
    http.delete(f"{base_url}/sim").raise_for_status()
    return Meta(http, base_url)


@pytest.fixture
def greeted(meta: Meta, receiver: Receiver) -> Meta:
    """A customer has written, so the service window is open."""
    assert meta.say(text="Habari")["status"] == 200
    receiver.posts.clear()
    return meta


def value_of(post: Post) -> Body:
    body = json.loads(post.body)
    assert body["object"] == "whatsapp_business_account"
    value: Body = body["entry"][0]["changes"][0]["value"]
    return value


def error_of(answer: httpx.Response) -> tuple[int, int]:
    error = answer.json()["error"]
    assert {"message", "type", "code", "error_data", "fbtrace_id"} <= set(error)
    return answer.status_code, error["code"]


# webhooks


def test_the_signature_verifies_over_the_raw_escaped_bytes(meta: Meta, receiver: Receiver) -> None:
    meta.say(text="Ndizi 🍌 na chai, tafadhali ñ", name="Wanjikũ")
    [post] = receiver.posts
    want = "sha256=" + hmac.new(b"s3cret", post.body, hashlib.sha256).hexdigest()
    assert post.headers["x-hub-signature-256"] == want
    assert post.body.isascii()
    assert rb"\ud83c\udf4c" in post.body
    assert value_of(post)["messages"][0]["text"]["body"] == "Ndizi 🍌 na chai, tafadhali ñ"


def test_a_message_arrives_in_metas_own_shape(meta: Meta, receiver: Receiver) -> None:
    told = meta.say(text="Habari", name="Achieng", wamid="wamid.TEST1")
    value = value_of(receiver.posts[0])
    assert told["wamid"] == "wamid.TEST1"
    assert value["messaging_product"] == "whatsapp"
    assert value["metadata"] == {"display_phone_number": "254700100001", "phone_number_id": NUMBER}
    [contact], [message] = value["contacts"], value["messages"]
    assert (contact["profile"], contact["wa_id"]) == ({"name": "Achieng"}, PHONE)
    assert (message["from"], message["from_user_id"]) == (PHONE, contact["user_id"])
    assert (message["id"], message["type"]) == ("wamid.TEST1", "text")
    assert message["timestamp"].isdigit()
    assert json.loads(receiver.posts[0].body)["entry"][0]["id"] == "200000000000001"


def test_media_places_and_other_kinds_arrive_too(meta: Meta, receiver: Receiver) -> None:
    meta.say(image={"caption": "hii"})
    meta.say(sticker={})
    meta.say(location={"latitude": -1.28, "longitude": 36.82, "name": "Gikomba"})
    meta.say(part={"type": "reaction", "reaction": {"message_id": "wamid.X", "emoji": "👍"}})
    image, sticker, place, reaction = (value_of(post)["messages"][0] for post in receiver.posts)
    assert (image["image"]["caption"], image["image"]["mime_type"], image["image"]["id"].isdigit()) == ("hii", "image/jpeg", True)
    assert sticker["sticker"]["mime_type"] == "image/webp"
    assert place["location"] == {"latitude": -1.28, "longitude": 36.82, "name": "Gikomba"}
    assert (reaction["type"], reaction["reaction"]["emoji"]) == ("reaction", "👍")


def test_the_same_webhook_can_come_many_times_at_once(meta: Meta, receiver: Receiver) -> None:
    told = meta.say(text="2 unga", duplicates=50)
    assert told["statuses"] == [200] * 50
    assert len(receiver.posts) == 50
    assert len({post.body for post in receiver.posts}) == 1
    assert [each["text"] for each in meta.messages()] == ["2 unga"]


def test_several_messages_can_share_one_post(meta: Meta, receiver: Receiver) -> None:
    first = {"phone_number_id": NUMBER, "from": PHONE, "text": "moja"}
    batch = [
        first,
        {**first, "from": "254733000001", "text": "mbili"},
        {**first, "phone_number_id": OTHER_NUMBER, "text": "tatu"},
    ]
    told = meta.http.post(f"{meta.base_url}/sim/say", json={"batch": batch}).json()
    assert (told["status"], len(told["wamids"])) == (200, 3)
    [post] = receiver.posts
    entries = [change["value"] for entry in json.loads(post.body)["entry"] for change in entry["changes"]]
    assert [value["metadata"]["phone_number_id"] for value in entries] == [NUMBER, OTHER_NUMBER]
    assert [[each["text"]["body"] for each in value["messages"]] for value in entries] == [["moja", "mbili"], ["tatu"]]
    assert [contact["wa_id"] for contact in entries[0]["contacts"]] == [PHONE, "254733000001"]


def test_a_held_message_can_be_delivered_raw_tampered_or_unsigned(meta: Meta, receiver: Receiver) -> None:
    body = meta.say(text="habari", hold=True)["body"]
    assert receiver.posts == []
    for wish in ({}, {"tamper": True}, {"unsigned": True}):
        assert meta.http.post(f"{meta.base_url}/sim/deliver", json={"body": body, **wish}).json()["status"] == 200
    good, tampered, unsigned = receiver.posts
    signatures = [hmac.new(b"s3cret", post.body, hashlib.sha256).hexdigest() for post in receiver.posts]
    assert good.body == body.encode()
    assert good.headers["x-hub-signature-256"] == f"sha256={signatures[0]}"
    assert tampered.headers["x-hub-signature-256"] != f"sha256={signatures[1]}"
    assert "x-hub-signature-256" not in unsigned.headers


def test_what_is_not_answered_200_is_delivered_again_until_it_is(meta: Meta, receiver: Receiver) -> None:
    receiver.answers[:] = [503, 500]
    assert meta.say(text="habari")["status"] == 503
    posts = receiver.wait_for(3)
    assert len({post.body for post in posts}) == 1
    meta.say(text="tena")
    assert [each["answers"] for each in meta.deliveries()] == [[503, 500, 200], [200]]


def test_redelivery_gives_up_after_its_waits(meta: Meta, receiver: Receiver) -> None:
    receiver.answers[:] = [503] * 9
    meta.say(text="habari")
    receiver.wait_for(4)
    with pytest.raises(AssertionError, match="4 of 5 posts"):
        receiver.wait_for(5, timeout_seconds=0.3)
    assert meta.deliveries()[0]["answers"] == [503] * 4


def test_an_app_that_is_away_gets_the_message_when_it_is_back(http: httpx.Client, receiver: Receiver, receiver_url: str) -> None:
    with running(build_app(app_url="http://127.0.0.1:9", retry_waits_seconds=(0.3, 0.5, 1.0))) as url:
        assert Meta(http, url).say(text="habari")["status"] is None
        http.put(f"{url}/sim/webhook", json={"app_url": receiver_url})
        [post] = receiver.wait_for(1)
    assert value_of(post)["messages"][0]["text"]["body"] == "habari"


def test_the_handshake_is_metas(meta: Meta) -> None:
    shake = f"{meta.base_url}/sim/handshake"
    assert meta.http.post(shake, json={"verify_token": "right-token"}).json() == {"verified": True}
    assert meta.http.post(shake, json={"verify_token": "wrong"}).json() == {"verified": False}


# sends


def test_a_send_is_answered_and_climbs_the_ladder_in_order(greeted: Meta, receiver: Receiver) -> None:
    answer = greeted.send_text("Karibu!", biz_opaque_callback_data="outbox:17")
    wamid = answer.json()["messages"][0]["id"]
    assert answer.json() == {
        "messaging_product": "whatsapp",
        "contacts": [{"input": f"+{PHONE}", "wa_id": PHONE}],
        "messages": [{"id": wamid}],
    }
    statuses = [value_of(post)["statuses"][0] for post in receiver.wait_for(3)]
    assert [each["status"] for each in statuses] == ["sent", "delivered", "read"]
    assert {each["id"] for each in statuses} == {wamid}
    assert {each["recipient_id"] for each in statuses} == {PHONE}
    assert {each["biz_opaque_callback_data"] for each in statuses} == {"outbox:17"}
    assert statuses[0]["pricing"] == {"billable": True, "pricing_model": "PMP", "category": "service", "type": "regular"}
    assert ["pricing" in each for each in statuses] == [True, True, False]
    shown = greeted.messages(count=1, status="read")[-1]
    assert (shown["direction"], shown["text"], shown["status"], shown["tracker"]) == ("out", "Karibu!", "read", "outbox:17")
    assert [rung["status"] for rung in shown["statuses"]] == ["sent", "delivered", "read"]
    assert [rung["at"] for rung in shown["statuses"]] == sorted(rung["at"] for rung in shown["statuses"])


def test_statuses_can_fail_or_come_in_any_order(greeted: Meta, receiver: Receiver) -> None:
    greeted.script(statuses=["sent", "failed"], error=131049)
    greeted.send_text()
    failed = value_of(receiver.wait_for(2)[1])
    assert failed["statuses"][0]["errors"][0]["code"] == 131049
    assert "contacts" not in failed
    receiver.posts.clear()
    greeted.script(statuses=["read", "sent"], status_delay=0)
    greeted.send_text()
    assert [value_of(post)["statuses"][0]["status"] for post in receiver.wait_for(2)] == ["read", "sent"]


def test_a_status_is_redelivered_like_a_message(greeted: Meta, receiver: Receiver) -> None:
    receiver.answers[:] = [503]
    greeted.script(statuses=["sent"])
    greeted.send_text()
    first, second = receiver.wait_for(2)
    assert first.body == second.body


def test_a_wrong_token_or_number_is_refused(greeted: Meta) -> None:
    text = {"type": "text", "text": {"body": "x"}}
    assert error_of(greeted.send(text, token="wrong")) == (401, 190)
    assert error_of(greeted.send(text, token="sim-token-2")) == (401, 190)
    assert error_of(greeted.http.post(f"{greeted.base_url}/v26.0/{NUMBER}/messages", json=text)) == (401, 190)
    assert error_of(greeted.send(text, number="100000000000009")) == (400, 100)
    assert error_of(greeted.http.get(f"{greeted.base_url}/v26.0/nothing")) == (400, 100)


def test_free_text_needs_a_window_of_24_hours_and_a_template_does_not(meta: Meta, clock: Clock) -> None:
    assert error_of(meta.send_text()) == (400, 131047)
    meta.say(text="habari")
    clock.ahead = timedelta(hours=23, minutes=59)
    assert meta.send_text().status_code == 200
    clock.ahead = timedelta(hours=24, seconds=1)
    assert error_of(meta.send_text()) == (400, 131047)
    template = {"type": "template", "template": {"name": "receipt", "language": {"code": "sw"}}}
    assert meta.send(template).status_code == 200
    assert error_of(meta.send({"type": "text", "text": {"body": "x"}}, token="sim-token-2", number=OTHER_NUMBER)) == (400, 131047)


def test_a_window_can_be_scripted_until_the_customer_really_writes(meta: Meta) -> None:
    meta.script(last_said_seconds_ago=60)
    assert meta.send_text().status_code == 200
    meta.script(last_said_seconds_ago=90_000)
    assert error_of(meta.send_text()) == (400, 131047)
    meta.say(text="habari")
    assert meta.send_text().status_code == 200


def buttons(*titles: str, ids: tuple[str, ...] = (), text: str = "Chagua") -> Body:
    names = ids or tuple(f"b{place}" for place, _ in enumerate(titles))
    replies = [{"type": "reply", "reply": {"id": name, "title": title}} for name, title in zip(names, titles, strict=True)]
    return {"type": "interactive", "interactive": {"type": "button", "body": {"text": text}, "action": {"buttons": replies}}}


def a_list(*sections: list[Body], button: str = "Fungua", titles: tuple[str | None, ...] = (None,), **more: Any) -> Body:
    parts = [{"rows": rows, **({"title": title} if title else {})} for rows, title in zip(sections, titles, strict=True)]
    action = {"button": button, "sections": parts}
    return {"type": "interactive", "interactive": {"type": "list", "body": {"text": "Bidhaa"}, "action": action, **more}}


def rows(count: int, start: int = 0) -> list[Body]:
    return [{"id": f"r{place}", "title": f"Row {place}"} for place in range(start, start + count)]


@pytest.mark.parametrize(
    "body",
    [
        {"type": "text", "text": {"body": "x" * 4097}},
        {"type": "text", "text": {"body": ""}},
        {"type": "text", "text": {"body": "x"}, "biz_opaque_callback_data": "t" * 513},
        buttons("A", "B", "C", "D"),
        buttons("x" * 21),
        buttons(""),
        buttons("Ndio", "Ndio"),
        buttons("Ndio", "La", ids=("same", "same")),
        buttons("Ndio", ids=("i" * 257,)),
        buttons("Ndio", ids=(" padded",)),
        buttons("Ndio", text="x" * 1025),
        a_list(rows(11)),
        a_list(rows(6), rows(5, start=6), titles=("A", "B")),
        a_list(rows(2), rows(2, start=2), titles=("A", None)),
        a_list(rows(1), button="x" * 21),
        a_list([{"id": "r", "title": "x" * 25}]),
        a_list([{"id": "r", "title": "x", "description": "x" * 73}]),
        a_list([{"id": "r" * 201, "title": "x"}]),
        a_list([{"id": "r", "title": "x"}, {"id": "r", "title": "y"}]),
        a_list([]),
        a_list(rows(1), titles=("x" * 25,)),
        a_list(rows(1), footer={"text": "x" * 61}),
        a_list(rows(1), header={"type": "image", "image": {"id": "1"}}),
        {"type": "image", "image": {"link": "https://shop.example/a.jpg", "caption": "x" * 1025}},
        {"type": "image", "image": {}},
        {"type": "text", "text": {"body": "x"}, "to": "shop"},
        {"type": "text", "text": {"body": "x"}, "to": None, "recipient": "254712345678"},
        {"type": "text", "text": {"body": "x"}, "messaging_product": "sms"},
    ],
)
def test_what_breaks_a_limit_of_metas_is_refused_with_131009(greeted: Meta, receiver: Receiver, body: Body) -> None:
    answer = greeted.send(body)
    assert error_of(answer) == (400, 131009)
    assert answer.json()["error"]["error_data"]["details"]
    assert [each["direction"] for each in greeted.messages()] == ["in"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "text"}, 131008),
        ({"type": "text", "text": {}}, 131008),
        ({"type": "text", "text": {"body": "x"}, "to": None}, 131008),
        ({"type": "telegram", "telegram": {}}, 131051),
    ],
)
def test_what_is_missing_or_unknown_has_its_own_code(greeted: Meta, body: Body, code: int) -> None:
    assert error_of(greeted.send(body)) == (400, code)


@pytest.mark.parametrize(
    "body",
    [
        {"type": "text", "text": {"body": "🍌" * 4096}},
        buttons("x" * 20, "B", "C", text="x" * 1024),
        a_list(rows(5), rows(5, start=5), titles=("A", "B")),
        a_list([{"id": "r", "title": "🍌" * 24, "description": "x" * 72}]),
        {"type": "image", "image": {"link": "https://shop.example/a.jpg", "caption": "x" * 1024}},
        {"type": "location", "location": {"latitude": -1.28, "longitude": 36.82}},
    ],
)
def test_the_limits_themselves_are_accepted(greeted: Meta, body: Body) -> None:
    assert greeted.send(body).status_code == 200


def test_blue_ticks_and_typing_dots_are_taken(greeted: Meta) -> None:
    [said] = greeted.messages()
    ticks = {"status": "read", "message_id": said["wamid"], "typing_indicator": {"type": "text"}}
    assert greeted.send(ticks).json() == {"success": True}
    assert greeted.messages()[0]["read"] is True
    assert error_of(greeted.send({**ticks, "message_id": "wamid.NONE"})) == (400, 131009)


# people without a phone


def test_a_person_known_by_user_id_is_answered_by_recipient(meta: Meta, receiver: Receiver) -> None:
    meta.say(bsuid="KE.13491208655302741918", text="habari")
    value = value_of(receiver.posts[0])
    assert ("from" in value["messages"][0], "wa_id" in value["contacts"][0]) == (False, False)
    answer = meta.send({"type": "text", "text": {"body": "x"}, "to": None, "recipient": "KE.13491208655302741918"})
    assert answer.json()["contacts"] == [{"input": "KE.13491208655302741918", "user_id": "KE.13491208655302741918"}]
    status = value_of(receiver.wait_for(2)[1])["statuses"][0]
    assert ("recipient_id" in status, status["recipient_user_id"]) == (False, "KE.13491208655302741918")


def test_a_user_id_in_to_is_accepted_and_vanishes(meta: Meta) -> None:
    meta.say(bsuid="KE.777", text="habari")
    assert meta.send({"type": "text", "text": {"body": "x"}, "to": "KE.777"}).status_code == 200
    assert [each["direction"] for each in meta.messages(phone="KE.777")] == ["in"]


def test_a_person_may_hide_the_phone_and_stays_one_person(meta: Meta, receiver: Receiver) -> None:
    meta.say(text="moja")
    meta.script(share_phone=False)
    meta.say(text="mbili")
    first, second = (value_of(post)["messages"][0] for post in receiver.posts)
    assert (first["from_user_id"], "from" in second) == (second["from_user_id"], False)
    assert [each["text"] for each in meta.messages(phone=first["from_user_id"])] == ["moja", "mbili"]


# taps


def test_a_button_is_tapped_by_its_title(greeted: Meta, receiver: Receiver) -> None:
    greeted.script(statuses=[])
    old = greeted.send(buttons("PAY", "Cancel", ids=("v1:old", "v1:cancel"))).json()["messages"][0]["id"]
    new = greeted.send(buttons("PAY", ids=("v1:pay",))).json()["messages"][0]["id"]
    greeted.say(tap="PAY")
    greeted.say(tap="v1:cancel")
    pay, cancel = (value_of(post)["messages"][0] for post in receiver.posts)
    assert pay["interactive"] == {"type": "button_reply", "button_reply": {"id": "v1:pay", "title": "PAY"}}
    assert pay["context"] == {"from": "254700100001", "id": new}
    assert cancel["interactive"]["button_reply"] == {"id": "v1:cancel", "title": "Cancel"}
    assert cancel["context"]["id"] == old
    assert greeted.messages()[-1]["choice"] == {"id": "v1:cancel", "title": "Cancel"}


def test_a_list_row_is_tapped_by_its_title(greeted: Meta, receiver: Receiver) -> None:
    greeted.script(statuses=[])
    greeted.send(
        a_list([{"id": "item:unga", "title": "Unga", "description": "2 kg, KES 150"}, {"id": "item:chai", "title": "Chai"}])
    )
    greeted.say(tap="Unga")
    greeted.say(tap="Chai")
    unga, chai = (value_of(post)["messages"][0]["interactive"] for post in receiver.posts)
    row = {"id": "item:unga", "title": "Unga", "description": "2 kg, KES 150"}
    assert unga == {"type": "list_reply", "list_reply": row}
    assert chai["list_reply"] == {"id": "item:chai", "title": "Chai"}
    assert greeted.messages()[1]["list"]["rows"][0] == row


def test_a_tap_on_nothing_says_what_could_be_tapped(greeted: Meta) -> None:
    greeted.send(buttons("PAY"))
    answer = greeted.http.post(f"{greeted.base_url}/sim/say", json={"phone_number_id": NUMBER, "from": PHONE, "tap": "Pay"})
    assert answer.status_code == 404
    assert "'Pay'; shown so far: 'PAY'" in answer.json()["detail"]


def test_a_say_that_makes_no_sense_is_refused(meta: Meta) -> None:
    say = {"phone_number_id": NUMBER, "from": PHONE, "text": "x"}
    for wrong in ({**say, "tap": "x"}, {"phone_number_id": NUMBER, "text": "x"}, {**say, "colour": "red"}, {**say, "text": None}):
        assert meta.http.post(f"{meta.base_url}/sim/say", json=wrong).status_code == 422
    assert meta.http.post(f"{meta.base_url}/sim/say", json={**say, "phone_number_id": "1"}).status_code == 404


# scripts of trouble


def test_sends_are_refused_as_often_as_scripted(greeted: Meta) -> None:
    greeted.script(send_error={"http": 429, "code": 130429, "times": 2, "retry_after": 3})
    refused = greeted.send_text()
    assert error_of(refused) == (429, 130429)
    assert refused.headers["retry-after"] == "3"
    assert error_of(greeted.send_text()) == (429, 130429)
    assert greeted.send_text().status_code == 200


@pytest.mark.parametrize("script", [{"lose_answer": True, "times": 1}, {"hang_seconds": 30, "times": 1}])
def test_an_answer_can_be_lost_although_the_message_went_out(greeted: Meta, receiver: Receiver, script: Body) -> None:
    greeted.script(**script)
    with pytest.raises(httpx.ReadTimeout if "hang_seconds" in script else httpx.TransportError):
        greeted.send({"type": "text", "text": {"body": "moja"}, "biz_opaque_callback_data": "outbox:1"}, timeout=0.3)
    assert value_of(receiver.wait_for(1)[0])["statuses"][0]["biz_opaque_callback_data"] == "outbox:1"
    assert greeted.send_text("mbili").status_code == 200
    assert [each["text"] for each in greeted.messages()[1:]] == ["moja", "mbili"]


def test_an_answer_can_be_late(greeted: Meta) -> None:
    greeted.script(hang_seconds=0.2)
    answer = greeted.send_text()
    assert (answer.status_code, answer.elapsed >= timedelta(seconds=0.2)) == (200, True)


# waiting, log, reset


def test_a_long_poll_ends_with_the_wanted_message(greeted: Meta) -> None:
    with ThreadPoolExecutor() as threads:
        waiting = threads.submit(greeted.messages, count=1)
        greeted.send_text("Karibu")
        assert waiting.result()[-1]["text"] == "Karibu"
    assert [each["direction"] for each in greeted.messages(count=9, timeout=0.05)] == ["in", "out"]


def test_every_send_is_recorded_without_its_token(greeted: Meta) -> None:
    greeted.send_text("x" * 4097)
    greeted.send_text("Karibu")
    log = greeted.http.get(f"{greeted.base_url}/sim/requests")
    assert [(each["method"], each["path"], each["status"]) for each in log.json()] == [
        ("POST", f"/v26.0/{NUMBER}/messages", 400),
        ("POST", f"/v26.0/{NUMBER}/messages", 200),
    ]
    assert log.json()[1]["body"]["text"] == {"body": "Karibu"}
    assert "sim-token" not in log.text


def test_a_reset_forgets_chats_scripts_and_log(greeted: Meta) -> None:
    greeted.script(send_error={"code": 131026, "times": 5})
    greeted.http.delete(f"{greeted.base_url}/sim").raise_for_status()
    assert (greeted.messages(), greeted.deliveries()) == ([], [])
    assert greeted.http.get(f"{greeted.base_url}/sim/requests").json() == []
    assert error_of(greeted.send_text()) == (400, 131047)


def test_a_reset_drops_what_waits_for_redelivery(http: httpx.Client, receiver: Receiver, receiver_url: str) -> None:
    receiver.answers[:] = [503]
    with running(build_app(app_url=receiver_url, retry_waits_seconds=(0.3,))) as url:
        assert Meta(http, url).say(text="habari")["status"] == 503
        http.delete(f"{url}/sim").raise_for_status()
        with pytest.raises(AssertionError, match="1 of 2 posts"):
            receiver.wait_for(2, timeout_seconds=0.5)


def test_pywa_talks_to_it_unchanged_by_base_url(greeted: Meta) -> None:
    with httpx.Client(trust_env=False, verify=False) as session:
        client = WhatsApp(token="sim-token-1", session=session)
        session.base_url = httpx.URL(f"{greeted.base_url}/v26.0")
        client.send_message(f"+{PHONE}", "Lipa?", sender=NUMBER, tracker="outbox:1", buttons=[Button("PAY", "v1:pay")])
        menu = SectionList("Fungua", [Section("Bidhaa", [SectionRow("Unga", "item:unga", "KES 150")])])
        sent = client.send_message(f"+{PHONE}", "Chagua", sender=NUMBER, buttons=menu)
    asked, listed = greeted.messages()[1:]
    assert (asked["buttons"], asked["tracker"]) == ([{"id": "v1:pay", "title": "PAY"}], "outbox:1")
    assert listed["list"] == {"button": "Fungua", "rows": [{"id": "item:unga", "title": "Unga", "description": "KES 150"}]}
    assert listed["wamid"] == sent.id
