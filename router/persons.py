"""Where a person can stand in the tables: what an export shows of one customer, and what an erasure makes of it.

Each column that can hold text or bytes is declared here, in PERSONAL or in IMPERSONAL; a test compares that with the tables,
so that a new column fails it until somebody decides. Identifiers of our own (uuid, serial numbers), times and amounts are left:
without the phone they name nobody.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, LiteralString

ERASED: Final = "erased"

# A row that no customer is known for, such as a delivery status: it is found by the phone or the user id in its text.
_NAMED_IN: Final = "EXISTS (SELECT FROM unnest(%(names)s::text[]) AS name WHERE strpos({}::text, name) > 0)"
_INBOX: Final = f"""
    (customer_id = ANY(%(customers)s) OR conversation_id = ANY(%(conversations)s)
     OR customer_id IS NULL AND conversation_id IS NULL AND {_NAMED_IN.format("body")})"""


@dataclass(frozen=True, kw_only=True)
class Personal:
    """A table with people in it. `rows` finds those of one, beside the vendor; `becomes` says what an erasure writes.

    An empty `becomes`: the row is deleted.
    """

    rows: LiteralString
    becomes: Mapping[str, LiteralString] = field(default_factory=dict)


def _only(*names: LiteralString) -> LiteralString:
    """Keep these fields of `data` alone."""
    listed = ", ".join(f"'{name}'" for name in names)
    kept: LiteralString = f"ARRAY[{listed}]"
    return f"(SELECT coalesce(jsonb_object_agg(key, value), '{{}}') FROM jsonb_each(data) WHERE key = ANY({kept}))"  # noqa: S608 — constant names


OPS: Final[Mapping[str, Personal]] = {
    # WhatsApp's message ids hold the phone, in base64.
    "usage_records": Personal(
        rows=f"meter = 'message_in' AND key IN (SELECT source_id FROM inbox WHERE vendor_id = %(vendor_id)s AND {_INBOX})",  # noqa: S608 — a constant condition
        becomes={
            "key": "'erased:' || (SELECT i.id FROM inbox i"
            " WHERE i.vendor_id = usage_records.vendor_id AND i.kind = 'message' AND i.source_id = usage_records.key)"
        },
    ),
    "domain_events": Personal(
        rows="(subject = ANY(%(subjects)s) OR data ->> 'account' = ANY(%(names)s))",
        becomes={
            "data": _only(
                "number",
                "total",
                "source",
                "receipt",
                "amount",
                "account_ref",
                "order_id",
                "outcome",
                "name",
                "place",
                "value",
                "queue",
                "conversation_id",
                "customers",
                "rows",
            )
        },
    ),
    "payment_events": Personal(
        rows="intent_id = ANY(%(intents)s)",
        becomes={
            "data": _only(
                "pay_message_id",
                "reason",
                "result_code",
                "result_desc",
                "receipt",
                "callback",
                "verdict",
                "status",
                "actor",
                "BusinessShortCode",
                "TransactionType",
                "Amount",
                "PartyB",
                "AccountReference",
            )
        },
    ),
    # What M-Pesa told is kept by its meaning: result, receipt and amount stand in the attempt, the payment and the trail.
    "callbacks": Personal(
        rows="intent_id = ANY(%(intents)s)",
        becomes={
            "body": "'erased:' || id",
            "body_sha256": "sha256(convert_to('erased:' || id, 'UTF8'))",
        },
    ),
    # What somebody typed as the account may be a name, and so may an operator's reason.
    "payments": Personal(
        rows="""(intent_id = ANY(%(intents)s) OR order_id = ANY(%(orders)s) OR payer = ANY(%(names)s)
          OR account = ANY(%(names)s))""",
        becomes={
            "payer": "NULL",
            "account": "NULL",
            "assigned_because": "CASE WHEN assigned_because IS NOT NULL THEN 'erased' END",
        },
    ),
    # Stored without the payer's names and phone (payments.by_hand.without_person), but somebody may type theirs as the account.
    "money_reports": Personal(
        rows=f"(handled_at IS NOT NULL AND {_NAMED_IN.format('body')})",
        becomes={
            "body": "'erased:' || id",
            "body_sha256": "sha256(convert_to('erased:' || id, 'UTF8'))",
        },
    ),
    # M-Pesa's CheckoutRequestID ends with the phone.
    "stk_attempts": Personal(
        rows="intent_id = ANY(%(intents)s)",
        becomes={
            "msisdn": "'erased'",
            "checkout_request_id": "CASE WHEN checkout_request_id IS NOT NULL THEN 'erased:' || intent_id END",
            "error": "CASE WHEN error IS NOT NULL THEN 'erased' END",
            "claimed_payer": "NULL",
        },
    ),
    "payment_intents": Personal(rows="id = ANY(%(intents)s)", becomes={"msisdn": "'erased'"}),
    # A caller chooses its own keys and reasons, and the hash of a request gives its phone away to whoever tries them all.
    "orders": Personal(
        rows="id = ANY(%(orders)s)",
        becomes={
            "idempotency_key": "NULL",
            "request_sha256": "NULL",
            "cancel_reason": "CASE WHEN cancel_reason IS NOT NULL THEN 'erased' END",
        },
    ),
    "api_answers": Personal(
        rows=f"""(answer IS NOT NULL AND EXISTS (
            SELECT FROM unnest(%(subjects)s::text[] || %(names)s) AS name WHERE strpos(answer::text, name) > 0)
          OR {_NAMED_IN.format("key")})"""
    ),
    "timers": Personal(rows="conversation_id = ANY(%(conversations)s)"),
    "turns": Personal(rows="conversation_id = ANY(%(conversations)s)"),
    "outbox": Personal(
        rows="conversation_id = ANY(%(conversations)s)",
        becomes={
            "recipient": "'erased'",
            "message": "'{}'",
            "wamid": "NULL",
            "error": "CASE WHEN status IN ('pending', 'failed') THEN 'erased' END",
            "failed_at": "CASE WHEN status = 'pending' THEN %(now)s ELSE failed_at END",
            "status": "CASE WHEN status = 'pending' THEN 'failed' ELSE status END",
        },
    ),
    # The PAY of a prompt stays: it is what allowed it.
    "inbox": Personal(
        rows=_INBOX,
        becomes={
            "source_id": "'erased:' || id",
            "body": "'{}'",
            "text": "CASE WHEN is_pay THEN 'PAY' END",
            "intent": "NULL",
            "error": "NULL",
            "trace": "NULL",
            "handled_at": "coalesce(handled_at, %(now)s)",
        },
    ),
    "conversations": Personal(rows="id = ANY(%(conversations)s)", becomes={"snapshot": "NULL", "flow": "NULL", "state": "NULL"}),
    "customers": Personal(
        rows="id = ANY(%(customers)s)",
        becomes={
            "phone": "NULL",
            "bsuid": "NULL",
            "name": "NULL",
            "language": "NULL",
            "erased_at": "coalesce(erased_at, %(now)s)",
        },
    ),
}
# `vendors` is empty when the vendor does not matter: an operator looks at all of them.
PLATFORM: Final[Mapping[str, Personal]] = {
    "daily_intent_slots": Personal(
        rows="customer_phone = ANY(%(names)s) AND (cardinality(%(vendors)s::uuid[]) = 0 OR vendor_id = ANY(%(vendors)s))"
    ),
    "stray_updates": Personal(rows=f"cardinality(%(vendors)s::uuid[]) = 0 AND {_NAMED_IN.format('body')}"),
}
# Columns that could hold a person by their type, and hold none.
IMPERSONAL: Final[Mapping[str, frozenset[str]]] = {
    "callbacks": frozenset({"peer", "verdict"}),  # `peer` is M-Pesa's address
    "conversations": frozenset({"phone_number_id"}),  # the vendor's number
    "domain_events": frozenset({"type", "subject", "order_id"}),
    "inbox": frozenset({"kind"}),
    "order_lines": frozenset({"name", "unit"}),
    "orders": frozenset({"number", "status", "source", "receipt"}),
    "outbox": frozenset({"cause", "phone_number_id", "place", "status"}),
    "payment_events": frozenset({"event", "from_status", "to_status"}),
    "payment_intents": frozenset({"account_ref", "status", "reason"}),
    "c2b_addresses": frozenset({"token_sha256"}),
    "capability_denials": frozenset({"capability_key"}),
    "money_reports": frozenset({"channel", "peer", "verdict"}),
    "payments": frozenset({"receipt", "confirmed_by", "unmatched_because", "assigned_by"}),
    "shelves": frozenset({"digest", "items"}),
    "stk_attempts": frozenset(
        {
            "status",
            "callback_token_sha256",
            "merchant_request_id",
            "result_code",
            "result_desc",
            "result_source",
            "claimed_receipt",
        }
    ),
    "usage_records": frozenset({"meter", "category"}),
    "vendor_shortcodes": frozenset({"kind", "business_shortcode", "party_b", "environment", "secret_ref"}),
    # Where a vendor's own server is.
    "webhook_endpoints": frozenset({"url", "types", "disabled_because"}),
    "webhook_deliveries": frozenset({"status", "error"}),
    # platform
    "catalog_items": frozenset({"sku", "name", "short_name", "unit", "category", "aliases"}),
    "flow_bundles": frozenset({"hash", "files"}),
    "flow_publications": frozenset({"bundle_hash", "migrations", "published_by"}),
    "internal_keys": frozenset({"name", "key_sha256", "operations"}),
    "usage_checks": frozenset({"differences"}),
    "usage_days": frozenset({"meter", "category"}),
    "usage_prices": frozenset({"meter", "category"}),
    "usage_statement_lines": frozenset({"meter", "category"}),
    "vendor_branches": frozenset({"id", "name", "about", "hours"}),
    "vendor_capabilities": frozenset({"capability_key"}),
    "vendor_channels": frozenset({"phone_number_id", "display_phone", "token_ref"}),
    "vendor_moves": frozenset({"to_target"}),
    "vendors": frozenset({"name", "isolation_level", "db_target", "language", "alert_phone"}),  # the vendor's own phone
}
