"""What holds in every transcript without being asked. Each rule says how it is broken; no words, no fault."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final

from conversation.engine.speaking import NOT_SENT
from conversation.engine.values import JSON
from conversation.whatsapp import limits
from router.rehearsal import ConsentSeen
from soko.replay.mpesa import Prompt

SERVICE_WINDOW: Final = timedelta(hours=24)
CONSENT: Final = re.compile(r"[\W_]*pay[\W_]*", re.IGNORECASE | re.ASCII)


def message_faults(message: Mapping[str, JSON], *, silence: timedelta) -> list[str]:
    """Say why WhatsApp would refuse a message that is sent when the customer has been silent for so long."""
    faults = [f"WhatsApp would refuse this message: {fault}" for fault in limits.check(message)]
    if silence >= SERVICE_WINDOW and "template" not in message:
        faults.append(f"WhatsApp would refuse this message: the customer last wrote {silence} ago, and 24 hours is the most")
    return faults


def silence_faults(trace: Sequence[Mapping[str, JSON]], *, silence: timedelta) -> list[str]:
    """Say what the engine did not send, since the customer had been silent for so long."""
    places = [str(entry["place"]) for entry in trace if entry["what"] == NOT_SENT]
    late = f"the customer last wrote {silence} ago, and 24 hours is the most without a `template`"
    return [f"{place} was not sent: {late}" for place in places]


def payment_faults(consents: Sequence[ConsentSeen], prompts: Sequence[Prompt]) -> list[str]:
    """Hold the prompts that M-Pesa got against the payment intents and the messages that allowed them."""
    faults: list[str] = []
    dispatched = [consent for consent in consents if consent.dispatched]
    if len(dispatched) != len(prompts) or len({prompt.request.callback_url for prompt in prompts}) != len(prompts):
        faults.append(f"{len(prompts)} prompts were pushed for {len(dispatched)} payment intents")
    for consent in consents:
        if CONSENT.fullmatch(consent.text or "") is None:
            faults.append(f"a prompt stands on the word of {consent.text!r}, which is not PAY")
        if consent.confirmed_at is None or consent.received_at < consent.confirmed_at:
            faults.append("a prompt stands on a PAY that is older than the order's confirmation")
    return faults
