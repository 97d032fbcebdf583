"""Callbacks as they came: stored once each, judged once each."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Final

from router.ids import IntentId
from router.payment_intents.store import Intent
from router.work import Work


@dataclass(frozen=True, kw_only=True)
class Callback:
    """A raw callback that nobody has judged yet. Its row is locked."""

    id: int
    intent_id: IntentId
    body: str


_INTENT_OF_CALLBACK: Final = "SELECT intent_id FROM stk_attempts WHERE vendor_id = %s AND callback_token_sha256 = %s"
_KEEP_CALLBACK: Final = """
    INSERT INTO callbacks (vendor_id, intent_id, body, body_sha256, peer)
    VALUES (%(vendor_id)s, %(intent_id)s, %(body)s, %(body_sha256)s, %(peer)s)
    ON CONFLICT (vendor_id, intent_id, body_sha256) DO UPDATE SET seen_count = callbacks.seen_count + 1
    """
_NEXT_CALLBACK: Final = """
    SELECT id, intent_id, body FROM callbacks
     WHERE vendor_id = %s AND handled_at IS NULL AND (try_again_at IS NULL OR try_again_at <= %s)
     ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED
    """
_JUDGE_CALLBACK: Final = """
    UPDATE callbacks SET handled_at = %(now)s, verdict = %(verdict)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND handled_at IS NULL
    """
_SET_ASIDE: Final = """
    UPDATE callbacks SET try_again_at = %(try_again_at)s
     WHERE vendor_id = %(vendor_id)s AND id = %(id)s AND handled_at IS NULL
    """
_OWNER_OF_CHECKOUT: Final = """
    SELECT intent_id FROM stk_attempts WHERE vendor_id = %s AND (checkout_request_id = %s OR merchant_request_id = %s)
    """


def find_by_token(work: Work, token_sha256: bytes) -> IntentId | None:
    """Find the intent a callback's token belongs to, by the token's hash: nothing else is stored."""
    row = work.conn.execute(_INTENT_OF_CALLBACK, (work.vendor_id, token_sha256)).fetchone()
    return None if row is None else row["intent_id"]


def keep_callback(work: Work, intent_id: IntentId, *, body: str, peer: str | None) -> None:
    """Store a callback as it came; the same body again is counted."""
    stored = work.databases.hide(body)
    work.conn.execute(
        _KEEP_CALLBACK,
        {
            "vendor_id": work.vendor_id,
            "intent_id": intent_id,
            "body": stored,
            "body_sha256": sha256(stored.encode()).digest(),
            "peer": peer,
        },
    )


def next_callback(work: Work, *, now: datetime) -> Callback | None:
    """Take the oldest callback nobody has judged; others skip it until this transaction ends."""
    row = work.conn.execute(_NEXT_CALLBACK, (work.vendor_id, now)).fetchone()
    return None if row is None else Callback(**row)


def judge_callback(work: Work, callback: Callback, *, verdict: str, now: datetime) -> None:
    """Write the verdict, once."""
    work.conn.execute(_JUDGE_CALLBACK, {"vendor_id": work.vendor_id, "id": callback.id, "verdict": verdict, "now": now})


def set_aside(work: Work, callback_id: int, *, try_again_at: datetime) -> None:
    """Let a callback that we failed on wait, so that it does not hold back the others."""
    work.conn.execute(_SET_ASIDE, {"vendor_id": work.vendor_id, "id": callback_id, "try_again_at": try_again_at})


def is_of_another(work: Work, intent: Intent, *, checkout_request_id: str, merchant_request_id: str) -> bool:
    """Tell whether Daraja's ids belong to the prompt of another intent."""
    rows = work.conn.execute(_OWNER_OF_CHECKOUT, (work.vendor_id, checkout_request_id, merchant_request_id))
    return any(row["intent_id"] != intent.id for row in rows)
