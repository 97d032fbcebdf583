"""The one prompt of an intent: found, put off, dispatched once; then asked about, and given up when nobody answers."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Final

from router.ids import IntentId, OrderId
from router.json_values import JSON
from router.payment_intents.status import AttemptStatus, IntentEvent
from router.payment_intents.store import Intent, move_intent
from router.payment_intents.trail import note, note_move
from router.work import Work

_NEXT_PREPARED: Final = """
    SELECT intent_id FROM stk_attempts
     WHERE vendor_id = %s AND status = 'prepared' AND due_at <= %s ORDER BY due_at, intent_id LIMIT 1
    """
_PUT_OFF: Final = """
    UPDATE stk_attempts SET due_at = %(due_at)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND status = 'prepared'
    """
_DISPATCH: Final = """
    UPDATE stk_attempts
       SET status = 'dispatched', dispatched_at = %(now)s, callback_token_sha256 = %(token)s, next_query_at = %(look_again_at)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND status = 'prepared'
    """
_FILL_IDS: Final = """
    UPDATE stk_attempts
       SET checkout_request_id = coalesce(checkout_request_id, nullif(%(checkout)s, '')),
           merchant_request_id = coalesce(merchant_request_id, nullif(%(merchant)s, ''))
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s
    """
# One prompt at a time on a phone, over all vendors of this database; the transaction's end gives the phone back.
_HOLD_PHONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('stk:' || %s, 0))"
_OPEN_PROMPT: Final = """
    SELECT has_prompt_in_the_way(%(msisdn)s, %(intent_id)s, %(since)s, %(amount)s, %(same_amount_since)s) AS found
    """

_NO_AMOUNT: Final = 0  # no prompt is over nothing


def next_prepared(work: Work, *, now: datetime) -> IntentId | None:
    """Find the oldest attempt that is due to be pushed. A plain read: claim it by `lock`, then look again."""
    row = work.conn.execute(_NEXT_PREPARED, (work.vendor_id, now)).fetchone()
    return None if row is None else row["intent_id"]


def put_off(work: Work, intent_id: IntentId, *, due_at: datetime) -> None:
    """Let a prepared attempt wait until a moment; one that was already dispatched is left alone."""
    work.conn.execute(_PUT_OFF, {"vendor_id": work.vendor_id, "intent_id": intent_id, "due_at": due_at})


class InTheWay(StrEnum):
    """What keeps a phone from being asked now."""

    PROMPT = "prompt"  # it shows another one
    AMOUNT = "amount"  # it was asked for the same amount a moment ago


def find_in_the_way(work: Work, intent: Intent, *, since: datetime, same_amount_since: datetime) -> InTheWay | None:
    """Tell what this phone has in the way, whichever vendor asked. Holds the phone until commit.

    In the way is a prompt sent after `since` without a result, and one over the same amount sent after `same_amount_since` that
    did not end without money.
    """
    work.conn.execute(_HOLD_PHONE, (intent.msisdn,))

    def has_prompt(amount: int) -> bool:
        terms = {"msisdn": intent.msisdn, "intent_id": intent.id, "since": since, "same_amount_since": same_amount_since}
        row = work.conn.execute(_OPEN_PROMPT, {**terms, "amount": amount}).fetchone()
        return row is not None and bool(row["found"])

    if not has_prompt(intent.amount):
        return None
    return InTheWay.PROMPT if has_prompt(_NO_AMOUNT) else InTheWay.AMOUNT


def dispatch(
    work: Work, intent: Intent, *, token_sha256: bytes, terms: Mapping[str, JSON], look_again_at: datetime, now: datetime
) -> bool:
    """Stamp the attempt as sent, before it is sent: the only way to a push, open once. False: it was open no more.

    `terms` is the body's part without secrets; the audit trail keeps it.
    """
    claimed = work.conn.execute(
        _DISPATCH,
        {
            "vendor_id": work.vendor_id,
            "intent_id": intent.id,
            "token": token_sha256,
            "look_again_at": look_again_at,
            "now": now,
        },
    )
    if claimed.rowcount != 1:
        return False
    note_move(work, intent.id, "attempt_dispatch", AttemptStatus.PREPARED, AttemptStatus.DISPATCHED, terms, now=now)
    move_intent(work, intent, IntentEvent.DISPATCH, reason=None, now=now)
    return True


def fill_ids(work: Work, intent: Intent, *, checkout_request_id: str, merchant_request_id: str) -> None:
    """Write Daraja's own ids of the prompt, where they are not known yet."""
    work.conn.execute(
        _FILL_IDS,
        {
            "vendor_id": work.vendor_id,
            "intent_id": intent.id,
            "checkout": checkout_request_id,
            "merchant": merchant_request_id,
        },
    )


_NEXT_QUERY: Final = """
    SELECT intent_id FROM stk_attempts a
     WHERE vendor_id = %s AND next_query_at <= %s AND checkout_request_id IS NOT NULL
       AND (status IN ('accepted', 'unresolved', 'failed')
            OR status IN ('dispatched', 'ambiguous', 'rejected') AND claimed_at IS NOT NULL
            OR status = 'succeeded' AND EXISTS (
              SELECT FROM payments p WHERE p.vendor_id = a.vendor_id AND p.intent_id = a.intent_id
                AND p.receipt <> a.claimed_receipt))
     ORDER BY next_query_at, intent_id LIMIT 1
    """
_STAMP_QUERY: Final = """
    UPDATE stk_attempts SET next_query_at = %(look_again_at)s, last_query_at = %(now)s, queries = queries + 1
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s
    """
# Whoever asked in the meantime has put off the next look: that stands.
_TAKE_BACK: Final = """
    UPDATE stk_attempts SET next_query_at = least(next_query_at, %(due_at)s), last_query_at = %(before)s, queries = queries - 1
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s
    """
_CLAIM: Final = """
    UPDATE stk_attempts
       SET claimed_at = %(now)s, claimed_receipt = %(receipt)s, claimed_payer = %(payer)s, next_query_at = %(now)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND claimed_at IS NULL
    """
_UNCONFIRMED: Final = """
    SELECT EXISTS (SELECT 1 FROM stk_attempts a JOIN payment_intents i ON i.vendor_id = a.vendor_id AND i.id = a.intent_id
                    WHERE i.vendor_id = %s AND i.order_id = %s AND a.claimed_at IS NOT NULL
                      AND (i.status IN ('processing', 'needs_review') OR i.status = 'failed' AND a.next_query_at IS NOT NULL)
                  ) AS found
    """
_ASK_ALL_NOW: Final = """
    UPDATE stk_attempts SET next_query_at = %(now)s
     WHERE vendor_id = %(vendor_id)s AND next_query_at > %(now)s AND checkout_request_id IS NOT NULL
    """
_ASK_NO_MORE: Final = "UPDATE stk_attempts SET next_query_at = NULL WHERE vendor_id = %s AND intent_id = %s"
_ASK_NOW: Final = """
    UPDATE stk_attempts SET next_query_at = %(now)s
     WHERE vendor_id = %(vendor_id)s AND intent_id = %(intent_id)s AND status IN ('accepted', 'unresolved')
       AND checkout_request_id IS NOT NULL AND (last_query_at IS NULL OR last_query_at < %(not_since)s)
    """
_STUCK: Final = """
    SELECT a.intent_id FROM stk_attempts a
      JOIN inbox m ON m.vendor_id = a.vendor_id AND m.id = a.pay_message_id
     WHERE a.vendor_id = %(vendor_id)s
       AND (a.status = 'prepared' AND m.received_at < %(pay_before)s
            OR a.status = 'dispatched' AND a.dispatched_at <= %(dispatched_before)s
            OR a.status IN ('accepted', 'ambiguous') AND a.dispatched_at <= %(unanswered_before)s)
     ORDER BY a.created_at, a.intent_id
    """


def next_query(work: Work, *, now: datetime) -> IntentId | None:
    """Find the attempt whose status query has been due longest. A plain read: claim it by `lock`, then look again."""
    row = work.conn.execute(_NEXT_QUERY, (work.vendor_id, now)).fetchone()
    return None if row is None else row["intent_id"]


def stamp_query(work: Work, intent: Intent, *, look_again_at: datetime | None, now: datetime) -> None:
    """Write down that a query is being sent, and when the next one is due."""
    work.conn.execute(
        _STAMP_QUERY, {"vendor_id": work.vendor_id, "intent_id": intent.id, "look_again_at": look_again_at, "now": now}
    )


def take_query_back(work: Work, intent: Intent, *, due_at: datetime) -> None:
    """Unmake the stamp of a query that was not sent after all, and make it due again. `intent` as read before the stamp."""
    before = intent.attempt.last_query_at
    work.conn.execute(_TAKE_BACK, {"vendor_id": work.vendor_id, "intent_id": intent.id, "due_at": due_at, "before": before})


def claim(work: Work, intent: Intent, *, receipt: str, payer: str | None, now: datetime) -> None:
    """Keep the success that a callback told of, and make the query due that must confirm it."""
    row = {"vendor_id": work.vendor_id, "intent_id": intent.id, "receipt": receipt, "payer": payer, "now": now}
    work.conn.execute(_CLAIM, row)
    note(work, intent.id, "success_claimed", {"receipt": receipt}, now=now)


def has_unconfirmed_success(work: Work, order_id: OrderId) -> bool:
    """Tell whether a callback told of money for this order that no query has confirmed yet."""
    row = work.conn.execute(_UNCONFIRMED, (work.vendor_id, order_id)).fetchone()
    return row is not None and bool(row["found"])


def ask_now(work: Work, intent: Intent, *, not_since: datetime, now: datetime) -> None:
    """Make a status query due at once, unless one was sent after `not_since`: Daraja counts queries."""
    work.conn.execute(_ASK_NOW, {"vendor_id": work.vendor_id, "intent_id": intent.id, "not_since": not_since, "now": now})


def ask_all_now(work: Work, *, now: datetime) -> None:
    """Make every query that is to come due at once."""
    work.conn.execute(_ASK_ALL_NOW, {"vendor_id": work.vendor_id, "now": now})


def ask_no_more(work: Work, intent: Intent) -> None:
    """Leave a prompt alone: from here on a person decides."""
    work.conn.execute(_ASK_NO_MORE, (work.vendor_id, intent.id))


def list_stuck(work: Work, *, pay_before: datetime, dispatched_before: datetime, unanswered_before: datetime) -> list[IntentId]:
    """List the intents that stand where they may no longer stand. A plain read: `lock` each, then look again."""
    rows = work.conn.execute(
        _STUCK,
        {
            "vendor_id": work.vendor_id,
            "pay_before": pay_before,
            "dispatched_before": dispatched_before,
            "unanswered_before": unanswered_before,
        },
    )
    return [row["intent_id"] for row in rows]
