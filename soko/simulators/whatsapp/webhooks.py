"""The webhook bodies that Meta posts, their signature, and the hand-shake."""

import hashlib
import hmac
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby

from soko.simulators.whatsapp.chats import ChatMessage, Person, Rung
from soko.simulators.whatsapp.graph_errors import failure_block
from soko.simulators.whatsapp.numbers import Number

Block = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Said:
    """An inbound message ready for the wire: `part` is its own block, for example {"text": {"body": "hi"}}."""

    number: Number
    message: ChatMessage
    share_phone: bool
    part: Block


def encode(body: Block) -> bytes:
    r"""JSON bytes as Meta writes them: everything beyond ASCII as \uXXXX, escaped before the signature is made."""
    return json.dumps(body, ensure_ascii=True, separators=(",", ":")).encode("ascii")


def sign(body: bytes, app_secret: str) -> str:
    """The value of X-Hub-Signature-256 for these very bytes."""
    return "sha256=" + hmac.new(app_secret.encode(), body, hashlib.sha256).hexdigest()


def messages_body(said: Sequence[Said]) -> Block:
    """One webhook for one or many messages; neighbours of one number share an entry, as in Meta's batches."""
    entries = []
    for number, group in groupby(said, key=lambda each: each.number):
        together = list(group)
        value = {"contacts": _contacts(together), "messages": [_message(each) for each in together]}
        entries.append(_entry(number, value))
    return {"object": "whatsapp_business_account", "entry": entries}


def status_body(number: Number, message: ChatMessage, rung: Rung, *, share_phone: bool) -> Block:
    """One webhook for one status. `contacts` is absent when it failed; pricing comes with sent and the first rung after it."""
    person = message.person
    status: dict[str, object] = {"id": message.wamid, "status": rung.status, "timestamp": _seconds(rung.at)}
    if person.phone and share_phone:
        status["recipient_id"] = person.phone
    status["recipient_user_id"] = person.bsuid
    if message.tracker is not None:
        status["biz_opaque_callback_data"] = message.tracker
    if rung.status == "failed":
        status["errors"] = [failure_block(rung.error or 131000)]
        value: dict[str, object] = {"statuses": [status]}
    else:
        if len(message.statuses) < 2:
            status["pricing"] = {"billable": True, "pricing_model": "PMP", "category": "service", "type": "regular"}
        value = {"contacts": [_contact(person, share_phone=share_phone)], "statuses": [status]}
    return {"object": "whatsapp_business_account", "entry": [_entry(number, value)]}


def _entry(number: Number, value: Block) -> Block:
    metadata = {"display_phone_number": number.display_phone, "phone_number_id": number.phone_number_id}
    whole = {"messaging_product": "whatsapp", "metadata": metadata, **value}
    return {"id": number.waba_id, "changes": [{"value": whole, "field": "messages"}]}


def _contacts(said: Sequence[Said]) -> list[Block]:
    people = {each.message.person.bsuid: _contact(each.message.person, share_phone=each.share_phone) for each in said}
    return list(people.values())


def _contact(person: Person, *, share_phone: bool) -> Block:
    contact: dict[str, object] = {"profile": {"name": person.name} if person.name else {}}
    if person.phone and share_phone:
        contact["wa_id"] = person.phone
    return {**contact, "user_id": person.bsuid}


def _message(said: Said) -> Block:
    person, message = said.message.person, said.message
    context = {"context": {"from": said.number.display_phone, "id": message.reply_to}} if message.reply_to else {}
    sender = {"from": person.phone} if person.phone and said.share_phone else {}
    own = {"from_user_id": person.bsuid, "id": message.wamid, "timestamp": _seconds(message.at), "type": message.type}
    return {**context, **sender, **own, **said.part}


def _seconds(at: datetime) -> str:
    return str(int(at.timestamp()))
