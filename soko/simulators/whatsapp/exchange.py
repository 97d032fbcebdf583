"""The simulated exchange: takes sends, climbs the status ladder, speaks for the customers, and delivers it all signed."""

import secrets
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Final

from fastapi import HTTPException, Response
from fastapi.responses import JSONResponse

from soko.simulators.phones import to_key
from soko.simulators.posting import Postman
from soko.simulators.recording import RequestLog
from soko.simulators.serving import Dropped, Late
from soko.simulators.whatsapp import webhooks
from soko.simulators.whatsapp.chats import ChatMessage, Chats, Direction, Person, Rung, Script, new_wamid, titles_on_show
from soko.simulators.whatsapp.graph_errors import graph_error, number_unknown, token_refused
from soko.simulators.whatsapp.numbers import WEBHOOK_PATH, Number
from soko.simulators.whatsapp.says import Say, Wish, to_tap, to_wish
from soko.simulators.whatsapp.sends import MarkRead, Outgoing

USER_AGENT: Final = "facebookexternalua"


@dataclass(kw_only=True)
class Delivery:
    """One webhook and what the app answered, try by try; None is no answer."""

    kind: str
    wamids: list[str]
    at: datetime
    answers: list[int | None] = field(default_factory=list)


class Exchange:
    """One simulated WhatsApp, with as many business numbers as it was given."""

    def __init__(
        self,
        *,
        app_url: str,
        app_secret: str,
        numbers: Sequence[Number],
        retry_waits_seconds: Sequence[float],
        clock: Callable[[], datetime],
    ) -> None:
        self.numbers = {each.phone_number_id: each for each in numbers}
        self.webhook_url = app_url.rstrip("/") + WEBHOOK_PATH
        self.chats = Chats()
        self.requests = RequestLog(clock)
        self.postman = Postman()
        self._app_secret = app_secret
        self._retry_waits_seconds = tuple(retry_waits_seconds)
        self._clock = clock
        self._lock = threading.Lock()
        self._deliveries: list[Delivery] = []

    def stop(self) -> None:
        """Let everybody go who waits, send nothing more."""
        self.chats.stop()
        self.postman.stop()

    def close(self) -> None:
        """Stop, and wait for what is under way."""
        self.stop()
        self.postman.close()

    def forget(self) -> None:
        """Begin anew. Webhooks that wait for redelivery are dropped."""
        self.postman.forget()
        self.chats.forget()
        self.requests.clear()
        with self._lock:
            self._deliveries.clear()

    def deliveries(self) -> list[Delivery]:
        """Every webhook so far."""
        with self._lock:
            return list(self._deliveries)

    # sends

    def authorised(self, phone_number_id: str, authorization: str | None) -> Number:
        """The number, when the bearer token is the one it was given."""
        number = self.numbers.get(phone_number_id)
        if authorization not in {f"Bearer {each.token}" for each in self.numbers.values()}:
            raise token_refused()
        if number is None:
            raise number_unknown(phone_number_id)
        if authorization != f"Bearer {number.token}":
            raise token_refused()
        return number

    def take(self, number: Number, send: Outgoing) -> Response:
        """Accept a send and start its ladder, or refuse it."""
        if send.phone is None and send.bsuid is None:
            return _accepted(send, wamid=new_wamid("lost"))  # a user id in `to`: Meta says yes and nobody ever gets it
        person = self.chats.meet(number, phone=send.phone, bsuid=send.bsuid)
        self._refuse_if_scripted(person)
        self._refuse_outside_window(number, person, send)
        script = self.chats.take_script(person.key)
        message = ChatMessage(
            direction=Direction.OUT,
            wamid=new_wamid(person.key),
            phone_number_id=number.phone_number_id,
            person=person,
            at=self._clock(),
            type=send.type,
            content=send.content,
            tracker=send.tracker,
            reply_to=send.reply_to,
        )
        self.chats.add(message)
        self._climb_later(number, message, script, script.statuses)
        answer = _accepted(send, wamid=message.wamid)
        if script.lose_answer:
            return Dropped()
        return answer if script.hang_seconds is None else Late(answer, after_seconds=script.hang_seconds)

    def mark_read(self, body: MarkRead) -> Response:
        """Blue ticks (and perhaps typing dots) under an inbound message."""
        if not self.chats.mark_read(body.wamid):
            raise graph_error(400, 131009, f"message_id: no message '{body.wamid}' was received.")
        return JSONResponse({"success": True})

    def _refuse_if_scripted(self, person: Person) -> None:
        error = self.chats.take_send_error(person.key)
        if error is not None:
            raise graph_error(error.http, error.code, "Scripted by the simulator.", retry_after=error.retry_after)

    def _refuse_outside_window(self, number: Number, person: Person, send: Outgoing) -> None:
        is_open = self.chats.window_is_open(key=person.key, phone_number_id=number.phone_number_id, now=self._clock())
        if send.type != "template" and not is_open:
            details = (
                "Message failed to send because more than 24 hours have passed since the customer last replied to this number."
            )
            raise graph_error(400, 131047, details)

    # statuses

    def _climb_later(self, number: Number, message: ChatMessage, script: Script, rest: Sequence[str]) -> None:
        if rest:
            self.postman.later(script.status_delay, partial(self._climb, number, message, script, rest))

    def _climb(self, number: Number, message: ChatMessage, script: Script, rest: Sequence[str]) -> None:
        status = rest[0]
        rung = Rung(status=status, at=self._clock(), error=script.error if status == "failed" else None)
        before = self.chats.climb(message.wamid, rung)
        if before is None:
            return
        body = webhooks.status_body(number, before, rung, share_phone=script.share_phone)
        self._deliver("status", [message.wamid], webhooks.encode(body))
        self._climb_later(number, message, script, rest[1:])

    # what customers do

    def to_said(self, say: Say) -> webhooks.Said:
        """Put a message into its chat, in Meta's words. Refuses an unknown number and a tap on something not shown."""
        number = self.numbers.get(say.phone_number_id)
        if number is None:
            raise HTTPException(404, f"No number {say.phone_number_id!r} here; there are {', '.join(self.numbers)}.")
        person = self.chats.meet(number, phone=to_key(say.sender) if say.sender else None, bsuid=say.bsuid, name=say.name)
        wish = self._tapped(number, person, say.tap) if say.tap is not None else to_wish(say)
        message = ChatMessage(
            direction=Direction.IN,
            wamid=say.wamid or new_wamid(person.key),
            phone_number_id=number.phone_number_id,
            person=person,
            at=self._clock() - timedelta(seconds=say.sent_seconds_ago),
            type=wish.type,
            content=wish.content,
            choice=wish.choice,
            reply_to=wish.reply_to,
        )
        self.chats.add(message)
        share_phone = self.chats.peek_script(person.key).share_phone
        return webhooks.Said(number=number, message=message, share_phone=share_phone, part=wish.part)

    def _tapped(self, number: Number, person: Person, wanted: str) -> Wish:
        found = self.chats.find_choice(key=person.key, phone_number_id=number.phone_number_id, wanted=wanted)
        if found is None:
            chat = self.chats.messages(key=person.key, phone_number_id=number.phone_number_id)
            shown = ", ".join(repr(each) for each in titles_on_show(chat)) or "nothing"
            raise HTTPException(404, f"{person.key} was never shown a button or row {wanted!r}; shown so far: {shown}.")
        return to_tap(*found)

    # deliveries

    def deliver_messages(self, said: Sequence[webhooks.Said], *, duplicates: int) -> list[int | None]:
        """Deliver messages in one POST, `duplicates` times in parallel, and give the app's answers."""
        body, wamids = self.encoded(said), [each.message.wamid for each in said]
        return self.postman.at_once([partial(self._deliver, "message", wamids, body) for _ in range(duplicates)])

    def encoded(self, said: Sequence[webhooks.Said]) -> bytes:
        """The bytes that deliver these messages."""
        return webhooks.encode(webhooks.messages_body(said))

    def deliver_raw(self, body: bytes, *, tamper: bool, unsigned: bool, duplicates: int) -> list[int | None]:
        """Deliver bytes as they are, once each and without redelivery."""
        headers = self._headers(None if unsigned else body)
        sent = body + b" " if tamper else body
        return self.postman.at_once([partial(self.postman.post, self.webhook_url, sent, headers)] * duplicates)

    def shake_hands(self, verify_token: str) -> bool:
        """Ask the app for the challenge, as Meta does when a webhook address is set; True when it came back bare with 200."""
        challenge = str(secrets.randbelow(10**10))
        query = {"hub.mode": "subscribe", "hub.verify_token": verify_token, "hub.challenge": challenge}
        return self.postman.get(self.webhook_url, query) == (200, challenge)

    def _deliver(self, kind: str, wamids: list[str], body: bytes) -> int | None:
        delivery = Delivery(kind=kind, wamids=wamids, at=self._clock())
        with self._lock:
            self._deliveries.append(delivery)
        return self._try(delivery, body, self._retry_waits_seconds)

    def _try(self, delivery: Delivery, body: bytes, waits_seconds: Sequence[float]) -> int | None:
        status = self.postman.post(self.webhook_url, body, self._headers(body))
        with self._lock:
            delivery.answers.append(status)
        if status != 200 and waits_seconds:
            self.postman.later(waits_seconds[0], partial(self._try_again, delivery, body, waits_seconds[1:]))
        return status

    def _try_again(self, delivery: Delivery, body: bytes, waits_seconds: Sequence[float]) -> None:
        self._try(delivery, body, waits_seconds)

    def _headers(self, signed: bytes | None) -> dict[str, str]:
        signature = {} if signed is None else {"X-Hub-Signature-256": webhooks.sign(signed, self._app_secret)}
        return {"Content-Type": "application/json", "User-Agent": USER_AGENT, **signature}


def _accepted(send: Outgoing, *, wamid: str) -> Response:
    """Shape: {"messaging_product", "contacts": [{"input", "wa_id" | "user_id"}], "messages": [{"id"}]}."""
    who = {"user_id": send.bsuid} if send.bsuid else {"wa_id": send.phone or send.input}
    contacts = [{"input": send.input, **who}]
    return JSONResponse({"messaging_product": "whatsapp", "contacts": contacts, "messages": [{"id": wamid}]})
