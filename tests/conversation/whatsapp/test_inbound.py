"""Payload shapes as Meta documents or sends them, one row each, and what we make of them."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pywa.client import WhatsApp
from pywa.types.base_update import RawUpdate

from conversation.errors import Broken
from conversation.whatsapp.inbound import (
    Incoming,
    Location,
    Media,
    OtherUpdate,
    StatusUpdate,
    Tap,
    Text,
    Update,
    Utterance,
    read_again,
    split,
)

PHONE = "254712345678"
BSUID = "KE.1234567890"
AT = datetime(2026, 9, 1, 8, 0, tzinfo=UTC)
SECONDS = str(int(AT.timestamp()))
WAMID = "wamid.HBgMMjU0NzEyMzQ1Njc4FQIAEhg="
METADATA = {"display_phone_number": "254700000001", "phone_number_id": "100000000000001"}
CONTACT = {"profile": {"name": "Wanjiru"}, "wa_id": PHONE, "user_id": BSUID}
FROM = {"from": PHONE, "from_user_id": BSUID, "id": WAMID, "timestamp": SECONDS}

Json = dict[str, Any]


def envelope(value: Json, field: str = "messages") -> Json:
    return {"object": "whatsapp_business_account", "entry": [{"id": "200", "changes": [{"field": field, "value": value}]}]}


def with_message(message: Json, *, contacts: Sequence[Json] | None = (CONTACT,), **more: Any) -> Json:
    own = {} if contacts is None else {"contacts": list(contacts)}
    return envelope({"messaging_product": "whatsapp", "metadata": METADATA, **own, "messages": [message], **more})


def with_status(status: Json, **more: Any) -> Json:
    return envelope({"messaging_product": "whatsapp", "metadata": METADATA, "statuses": [status], **more})


def encoded(body: object) -> bytes:
    return json.dumps(body).encode()


def only(body: object) -> Update:
    [update] = split(encoded(body))
    return update


UTTERANCES: Mapping[str, tuple[Json, Utterance]] = {
    "text": ({"type": "text", "text": {"body": "2 unga 🌽"}}, Text(text="2 unga 🌽")),
    "text after an ad": (
        {"type": "text", "text": {"body": "Hi"}, "referral": {"source_type": "ad", "source_id": "1"}},
        Text(text="Hi"),
    ),
    "text about a product, without its catalogue": (
        {"type": "text", "text": {"body": "Hii?"}, "context": {"referred_product": {"product_retailer_id": "unga"}}},
        Text(text="Hii?"),
    ),
    "text that no database stores": ({"type": "text", "text": {"body": "a\x00b\ud83dc"}}, Text(text="a\ufffdb\ufffdc")),
    "button reply": (
        {
            "type": "interactive",
            "context": {"from": "254700000001", "id": "wamid.1"},
            "interactive": {"type": "button_reply", "button_reply": {"id": "v1:pay", "title": "PAY"}},
        },
        Tap(choice_id="v1:pay", title="PAY"),
    ),
    "list reply without context": (
        {
            "type": "interactive",
            "interactive": {"type": "list_reply", "list_reply": {"id": "v1:unga", "title": "Unga", "description": "KES 150"}},
        },
        Tap(choice_id="v1:unga", title="Unga"),
    ),
    "template quick reply": (
        {"type": "button", "button": {"payload": "v1:again", "text": "Order again"}},
        Tap(choice_id="v1:again", title="Order again"),
    ),
    "image with a caption": (
        {"type": "image", "image": {"id": "1", "mime_type": "image/jpeg", "sha256": "eA==", "caption": "hii"}},
        Media(kind="image", caption="hii"),
    ),
    "voice note": (
        {"type": "audio", "audio": {"id": "1", "mime_type": "audio/ogg; codecs=opus", "voice": True}},
        Media(kind="audio", caption=None),
    ),
    "video": ({"type": "video", "video": {"id": "1", "mime_type": "video/mp4"}}, Media(kind="video", caption=None)),
    "document": (
        {"type": "document", "document": {"id": "1", "filename": "list.pdf", "caption": "my list"}},
        Media(kind="document", caption="my list"),
    ),
    "sticker": ({"type": "sticker", "sticker": {"id": "1", "animated": False}}, Media(kind="sticker", caption=None)),
    "image without its block": ({"type": "image"}, Media(kind="image", caption=None)),
    "unsupported": (
        {"type": "unsupported", "errors": [{"code": 131051, "title": "Message type unknown"}]},
        Media(kind="unsupported", caption=None),
    ),
    "order from the catalogue": (
        {"type": "order", "order": {"catalog_id": "1", "text": "asap", "product_items": [{"product_retailer_id": "unga"}]}},
        Media(kind="order", caption=None),
    ),
    "contact card": (
        {"type": "contacts", "contacts": [{"name": {"formatted_name": "A"}, "phones": [{"phone": "+254"}]}]},
        Media(kind="contacts", caption=None),
    ),
    "location with a name": (
        {"type": "location", "location": {"latitude": -1.28, "longitude": 36.82, "name": "Duka", "address": "Moi Ave"}},
        Location(lat=-1.28, lon=36.82, name="Duka"),
    ),
    "bare location": (
        {"type": "location", "location": {"latitude": -1.28, "longitude": 36.82}},
        Location(lat=-1.28, lon=36.82, name=None),
    ),
}


@pytest.mark.parametrize(("message", "utterance"), UTTERANCES.values(), ids=UTTERANCES.keys())
def test_what_a_customer_says_is_read(message: Json, utterance: Utterance) -> None:
    body = with_message({**FROM, **message})
    assert only(body) == Incoming(
        wamid=WAMID,
        phone_number_id="100000000000001",
        sender_phone=PHONE,
        sender_bsuid=BSUID,
        name="Wanjiru",
        sent_at=AT,
        utterance=utterance,
        raw=body,
    )


@pytest.mark.parametrize(("message", "utterance"), UTTERANCES.values(), ids=UTTERANCES.keys())
def test_a_kept_message_reads_the_same_again(message: Json, utterance: Utterance) -> None:
    update = only(with_message({**FROM, **message}))
    assert read_again(json.loads(json.dumps(update.raw))) == utterance


def test_what_is_not_a_kept_message_is_not_read_again() -> None:
    with pytest.raises(Broken, match="was changed"):
        read_again(with_message({**FROM, "type": "reaction"}))


OTHERS: Mapping[str, tuple[Json, str]] = {
    "reaction": (
        with_message({**FROM, "type": "reaction", "reaction": {"emoji": "👍", "message_id": "wamid.1"}}),
        "message.reaction",
    ),
    "flow form": (
        with_message({**FROM, "type": "interactive", "interactive": {"type": "nfm_reply", "nfm_reply": {"response_json": "{}"}}}),
        "message.interactive",
    ),
    "interactive without a body": (with_message({**FROM, "type": "interactive"}, errors=[{"code": 1}]), "message.interactive"),
    "tap without an id": (
        with_message({**FROM, "type": "interactive", "interactive": {"type": "button_reply", "button_reply": {"title": "PAY"}}}),
        "message.interactive",
    ),
    "place off the globe": (
        with_message({**FROM, "type": "location", "location": {"latitude": 91, "longitude": 0}}),
        "message.location",
    ),
    "changed number": (
        with_message(
            {
                "from": PHONE,
                "id": WAMID,
                "timestamp": SECONDS,
                "type": "system",
                "system": {"type": "user_changed_number", "wa_id": "254799999999", "body": "changed"},
            },
            contacts=None,
        ),
        "message.system",
    ),
    "system message from nobody": (
        with_message({"id": WAMID, "timestamp": SECONDS, "type": "system", "system": {}}, contacts=None),
        "message.system",
    ),
    "group message": (with_message({**FROM, "type": "text", "text": {"body": "hi all"}, "group_id": "g1"}), "message.group"),
    "edited message": (with_message({**FROM, "type": "edit", "edit": {"original_message_id": "wamid.1"}}), "message.edit"),
    "text from nobody": (
        with_message({"id": WAMID, "timestamp": SECONDS, "type": "text", "text": {"body": "x"}}, contacts=None),
        "message.text",
    ),
    "text without an id": (
        with_message({"from": PHONE, "timestamp": SECONDS, "type": "text", "text": {"body": "x"}}),
        "message.text",
    ),
    "text without a time": (with_message({"from": PHONE, "id": WAMID, "type": "text", "text": {"body": "x"}}), "message.text"),
    "text in the far future": (
        with_message({**FROM, "timestamp": "9" * 30, "type": "text", "text": {"body": "x"}}),
        "message.text",
    ),
    "text without its block": (with_message({**FROM, "type": "text"}), "message.text"),
    "message without a type": (with_message(FROM), "message"),
    "message that is no object": (envelope({"metadata": METADATA, "messages": ["hi"]}), "messages"),
    "played voice note": (with_status({"id": WAMID, "status": "played", "timestamp": SECONDS}), "status.played"),
    "status without an id": (with_status({"status": "sent", "timestamp": SECONDS}), "status.sent"),
    "errors alone": (envelope({"metadata": METADATA, "errors": [{"code": 130429, "title": "Rate limit hit"}]}), "messages"),
    "field we do not know": (envelope({"metadata": METADATA, "novelty": 1}, "novelties"), "novelties"),
    "messages under another field": (envelope({"metadata": METADATA, "messages": [FROM]}, "standby"), "standby"),
    "message echo": (
        envelope({"metadata": METADATA, "message_echoes": [{**FROM, "type": "text"}]}, "smb_message_echoes"),
        "smb_message_echoes",
    ),
}


@pytest.mark.parametrize(("body", "kind"), OTHERS.values(), ids=OTHERS.keys())
def test_what_we_do_not_act_on_is_kept_whole(body: Json, kind: str) -> None:
    update = only(body)
    assert isinstance(update, OtherUpdate)
    assert (update.kind, update.phone_number_id, update.raw) == (kind, "100000000000001", body)


STRAYS: Mapping[str, tuple[object, str]] = {
    "account update": (
        envelope({"event": "VERIFIED_ACCOUNT", "phone_number": "254700000001"}, "account_update"),
        "account_update",
    ),
    "message without metadata": (envelope({"messages": [{**FROM, "type": "text", "text": {"body": "x"}}]}), "message.text"),
    "number id that is no number": (
        envelope({"metadata": {"phone_number_id": "1'; --"}, "messages": [{**FROM, "type": "text", "text": {"body": "x"}}]}),
        "message.text",
    ),
    "field with odd characters": (envelope({}, "a b\x00\ud83d"), "a_b__"),
    "change without a value": (
        {"object": "whatsapp_business_account", "entry": [{"id": "1", "changes": [{"field": "messages"}]}]},
        "messages",
    ),
    "change that is no object": ({"object": "whatsapp_business_account", "entry": [{"changes": [7]}]}, "unknown"),
    "entry without changes": ({"object": "whatsapp_business_account", "entry": [{"id": "1", "time": 1}]}, "entry"),
    "entry that is no object": ({"object": "whatsapp_business_account", "entry": ["x"]}, "entry"),
    "another product of Meta": ({"object": "instagram", "entry": []}, "malformed"),
    "no envelope": ({"hello": "world"}, "malformed"),
}


@pytest.mark.parametrize(("body", "kind"), STRAYS.values(), ids=STRAYS.keys())
def test_what_names_no_number_is_kept_whole(body: object, kind: str) -> None:
    update = only(body)
    assert isinstance(update, OtherUpdate)
    assert (update.kind, update.phone_number_id, update.raw) == (kind, None, body)


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff\xfe\x00", b"[" * 100_000, b"1" * 5000, b"[" * 70 + b"]" * 70])
def test_what_is_not_json_or_too_deep_is_kept_as_text(payload: bytes) -> None:
    [update] = split(payload)
    assert isinstance(update, OtherUpdate)
    assert update.kind == "malformed"
    assert update.raw == {"body": payload.decode("utf-8", "backslashreplace")}


@pytest.mark.parametrize("body", [7, None, "hi", [1]])
def test_json_that_is_no_object_is_kept(body: object) -> None:
    update = only(body)
    assert isinstance(update, OtherUpdate)
    assert (update.kind, update.raw) == ("malformed", {"body": body})


def test_an_empty_batch_is_nothing() -> None:
    assert split(encoded({"object": "whatsapp_business_account", "entry": []})) == []


def test_numbers_that_no_database_stores_are_kept_as_they_were_written() -> None:
    payload = encoded(envelope({}, "odd")).replace(b'"value": {}', b'"value": {"a": NaN, "b": -Infinity, "c": 1e999, "d": 1.5}')
    [update] = split(payload)
    assert update.raw == envelope({"a": "NaN", "b": "-Infinity", "c": "1e999", "d": 1.5}, "odd")


# who sent it


def test_a_sender_may_have_a_user_id_and_no_phone() -> None:
    message = {"from_user_id": BSUID, "id": WAMID, "timestamp": SECONDS, "type": "text", "text": {"body": "Niaje"}}
    update = only(with_message(message, contacts=[{"profile": {"username": "wanjiru.n"}, "user_id": BSUID}]))
    assert isinstance(update, Incoming)
    assert (update.sender_phone, update.sender_bsuid, update.name) == (None, BSUID, "wanjiru.n")


def test_a_user_id_may_have_letters() -> None:
    update = only(with_message({**FROM, "from_user_id": "KE.ENT.9aBc", "type": "text", "text": {"body": "x"}}, contacts=None))
    assert isinstance(update, Incoming)
    assert update.sender_bsuid == "KE.ENT.9aBc"


def test_a_sender_may_have_a_phone_and_no_user_id() -> None:
    message = {"from": PHONE, "id": WAMID, "timestamp": SECONDS, "type": "text", "text": {"body": "Hi"}}
    update = only(with_message(message, contacts=[{"profile": {"name": "  "}, "wa_id": PHONE}]))
    assert isinstance(update, Incoming)
    assert (update.sender_phone, update.sender_bsuid, update.name) == (PHONE, None, None)


def test_a_message_without_contacts_is_still_a_message() -> None:
    update = only(with_message({**FROM, "type": "text", "text": {"body": "Hi"}}, contacts=None))
    assert isinstance(update, Incoming)
    assert (update.sender_phone, update.sender_bsuid, update.name) == (PHONE, BSUID, None)


def test_the_only_contact_completes_a_sender_whose_wa_id_differs() -> None:
    message = {"from": "5215512345678", "id": WAMID, "timestamp": SECONDS, "type": "text", "text": {"body": "Hola"}}
    contact = {"profile": {"name": "Ana"}, "wa_id": "525512345678", "user_id": "MX.1"}
    update = only(with_message(message, contacts=[contact]))
    assert isinstance(update, Incoming)
    assert (update.sender_phone, update.sender_bsuid, update.name) == ("5215512345678", "MX.1", "Ana")


def test_nobody_in_a_batch_gets_the_identity_of_another() -> None:
    texts = [
        {"from": phone, "id": f"wamid.{n}", "timestamp": SECONDS, "type": "text", "text": {"body": "Hi"}}
        for n, phone in enumerate([PHONE, "254711111111", "254722222222"])
    ]
    contacts = [{"profile": {"name": "Otieno"}, "wa_id": "254711111111", "user_id": "KE.2"}, CONTACT]
    updates = split(encoded(envelope({"metadata": METADATA, "contacts": contacts, "messages": texts})))
    senders = [(each.sender_phone, each.sender_bsuid, each.name) for each in updates if isinstance(each, Incoming)]
    assert senders == [(PHONE, BSUID, "Wanjiru"), ("254711111111", "KE.2", "Otieno"), ("254722222222", None, None)]
    assert [read_again(each.raw) for each in updates] == [Text(text="Hi")] * 3
    assert "Otieno" not in json.dumps(updates[0].raw)


# statuses


@pytest.mark.parametrize("status", ["sent", "delivered", "read"])
@pytest.mark.parametrize("contacts", [{}, {"contacts": [CONTACT]}], ids=["no contacts", "contacts"])
def test_the_ladder_of_statuses_is_read(status: str, contacts: Json) -> None:
    item = {"id": WAMID, "status": status, "timestamp": SECONDS, "recipient_id": PHONE, "biz_opaque_callback_data": "outbox:7"}
    body = with_status({**item, "pricing": {"billable": True, "pricing_model": "PMP", "category": "service"}}, **contacts)
    update = only(body)
    assert isinstance(update, StatusUpdate)
    assert (update.wamid, update.status, update.tracker, update.error) == (WAMID, status, "outbox:7", None)
    assert (update.recipient, update.at, update.phone_number_id, update.raw) == (PHONE, AT, "100000000000001", body)


def test_a_failed_status_says_what_failed() -> None:
    error = {
        "code": 131047,
        "title": "Re-engagement message",
        "message": "Re-engagement message",
        "error_data": {"details": "24 h"},
    }
    update = only(
        with_status({"id": WAMID, "status": "failed", "timestamp": SECONDS, "recipient_user_id": BSUID, "errors": [error]})
    )
    assert isinstance(update, StatusUpdate)
    assert update.recipient == BSUID
    assert update.error == (
        "131047 Re-engagement message: 24 h (the customer wrote more than 24 hours ago: only a template may go)"
    )


@pytest.mark.parametrize(
    ("errors", "said"),
    [
        (None, "failed, and WhatsApp gave no reason"),
        ([], "failed, and WhatsApp gave no reason"),
        ([{"title": "Odd"}], "failed: Odd"),
        ([{"code": 131026}], "131026 (the customer has no WhatsApp, an old one, or blocked the number)"),
    ],
)
def test_a_failed_status_may_say_little(errors: object, said: str) -> None:
    update = only(with_status({"id": WAMID, "status": "failed", "timestamp": SECONDS, "errors": errors}))
    assert isinstance(update, StatusUpdate)
    assert update.error == said


# batches


def test_a_batch_of_mixed_kinds_comes_out_one_by_one_in_order() -> None:
    text = {**FROM, "type": "text", "text": {"body": "1"}}
    reaction = {**FROM, "id": "wamid.2", "type": "reaction"}
    sent = {"id": "wamid.3", "status": "sent", "timestamp": SECONDS, "recipient_id": PHONE}
    other_number = {"display_phone_number": "254700000002", "phone_number_id": "100000000000002"}
    body = {
        "object": "whatsapp_business_account",
        "entry": [
            {
                "id": "200",
                "changes": [
                    {"field": "messages", "value": {"metadata": METADATA, "contacts": [CONTACT], "messages": [text, reaction]}},
                    {"field": "messages", "value": {"metadata": METADATA, "statuses": [sent, {**sent, "status": "read"}]}},
                ],
            },
            {
                "id": "201",
                "changes": [
                    {"field": "account_update", "value": {"event": "X"}},
                    {"field": "messages", "value": {"metadata": other_number, "messages": [{**text, "id": "wamid.4"}]}},
                ],
            },
        ],
    }
    updates = split(encoded(body))
    assert [type(each).__name__ for each in updates] == [
        "Incoming",
        "OtherUpdate",
        "StatusUpdate",
        "StatusUpdate",
        "OtherUpdate",
        "Incoming",
    ]
    assert [each.phone_number_id for each in updates] == [*["100000000000001"] * 4, None, "100000000000002"]
    assert [split(encoded(each.raw)) for each in updates] == [[each] for each in updates]


def test_the_same_content_has_the_same_source_id_whatever_the_order_of_its_keys() -> None:
    one, other, third = (
        only(envelope(value, "novelties")) for value in ({"a": 1, "b": "é"}, {"b": "é", "a": 1}, {"a": 2, "b": "é"})
    )
    assert isinstance(one, OtherUpdate)
    assert isinstance(other, OtherUpdate)
    assert isinstance(third, OtherUpdate)
    assert one.source_id == other.source_id != third.source_id


# pywa as a second reader


@pytest.mark.parametrize("name", ["text", "button reply", "template quick reply", "image with a caption", "location with a name"])
def test_pywa_reads_the_same_from_what_we_keep(name: str) -> None:
    message, utterance = UTTERANCES[name]
    update = only(with_message({**FROM, **message}))
    assert isinstance(update, Incoming)
    theirs = _read_by_pywa(update.raw)
    assert (theirs.id, theirs.timestamp, theirs.metadata.phone_number_id) == (update.wamid, AT, update.phone_number_id)
    user = theirs.from_user
    assert (user.wa_id, user.bsuid, user.name) == (update.sender_phone, update.sender_bsuid, update.name)
    match utterance:
        case Text(text=text):
            assert theirs.text == text
        case Tap(choice_id=choice_id, title=title):
            assert (theirs.data, theirs.title) == (choice_id, title)
        case Media(caption=caption):
            assert theirs.caption == caption
        case Location(lat=lat, lon=lon):
            assert (theirs.location.latitude, theirs.location.longitude) == (lat, lon)


def _read_by_pywa(raw: Mapping[str, Any]) -> Any:
    parser = WhatsApp(filter_updates=False, validate_updates=False)
    update = RawUpdate(json.dumps(raw).encode(), hmac_header=None, update_hash="")
    handler = parser._get_handler_type(update)
    assert handler is not None
    return parser._handlers_to_updates[handler].from_update(client=parser, update=update)


# whatever comes

WORDS = st.sampled_from(
    ["object", "entry", "changes", "field", "value", "messages", "statuses", "contacts", "metadata", "type", "text", "from", "id"]
)
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.sampled_from(["messages", "text", PHONE, SECONDS])
)
JSONS = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS | st.text(), inner, max_size=4), max_leaves=20
)
VALUES = st.fixed_dictionaries(
    {},
    optional={"metadata": st.just(METADATA) | JSONS, "contacts": JSONS, "messages": st.lists(JSONS), "statuses": st.lists(JSONS)},
)
CHANGES = st.fixed_dictionaries({"field": st.just("messages") | JSONS, "value": VALUES | JSONS})
ENVELOPES = st.fixed_dictionaries(
    {
        "object": st.just("whatsapp_business_account"),
        "entry": st.lists(st.fixed_dictionaries({"id": JSONS, "changes": st.lists(CHANGES, max_size=3)}) | JSONS, max_size=3),
    }
)


@given(st.binary())
def test_no_bytes_make_it_raise(payload: bytes) -> None:
    assert all(isinstance(each, OtherUpdate) for each in split(payload))


@given(JSONS)
def test_no_json_makes_it_raise(body: object) -> None:
    [update] = split(encoded(body))
    assert isinstance(update, OtherUpdate)


@given(ENVELOPES)
def test_no_item_of_an_envelope_is_lost(body: Json) -> None:
    updates = split(encoded(body))
    assert len(updates) == sum(_items(entry) for entry in body["entry"])
    for update in updates:
        assert [type(each) for each in split(encoded(update.raw))] == [type(update)]


def _items(entry: object) -> int:
    changes = entry.get("changes") if isinstance(entry, dict) else None
    if not isinstance(changes, list) or not changes:
        return 1
    return sum(max(_items_of(change), 1) for change in changes)


def _items_of(change: object) -> int:
    value = change.get("value") if isinstance(change, dict) and change.get("field") == "messages" else None
    lists = [value.get(key) for key in ("messages", "statuses")] if isinstance(value, dict) else []
    return sum(len(each) for each in lists if isinstance(each, list))
