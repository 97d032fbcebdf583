"""What a stranger would post: callbacks that M-Pesa never sent, against the app's own endpoint."""

import json
from dataclasses import replace
from datetime import datetime
from typing import Final, Literal

from soko.simulators.daraja.callbacks import callback_body
from soko.simulators.daraja.prompts import Prompt
from soko.simulators.daraja.results import PAID, description_of

Forgery = Literal["no_token", "bad_token", "foreign_token", "guessed_checkout", "success"]
RECEIPT: Final = "FORGED00XX"
BAD_TOKEN: Final = "a" * 32


def forge(kind: Forgery, prompt: Prompt, other: Prompt | None, now: datetime) -> tuple[str, bytes]:
    """Build an address and a body for it: a success of this prompt, at an address that is not its own, or before its end.

    no_token, bad_token  the address without its secret, or with another one
    foreign_token        the address of another prompt, with the ids of this one
    guessed_checkout     the right address, another prompt's ids
    success              the right address and ids, and no money moved
    """
    honest = type(prompt.scenario)()
    text = description_of(PAID)
    paid = replace(prompt, result_code=PAID, result_text=text, receipt=RECEIPT, decided_at=now, scenario=honest)
    url, body = prompt.push.callback_url, callback_body(paid)
    stem = url.rpartition("/")[0]
    match kind:
        case "no_token":
            return stem, body
        case "bad_token":
            return f"{stem}/{BAD_TOKEN}", body
        case "foreign_token":
            return (other or prompt).push.callback_url, body
        case "guessed_checkout":
            told = json.loads(body)
            told["Body"]["stkCallback"]["CheckoutRequestID"] = "ws_CO_010120260000000000000002"
            return url, json.dumps(told).encode()
        case "success":
            return url, body
