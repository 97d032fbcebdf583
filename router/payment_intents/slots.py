"""At most three payment intents a day and customer, over all vendors: three slots, claimed in the platform database."""

from collections.abc import Set as AbstractSet
from datetime import date, datetime
from typing import Final

from router.databases import Databases
from router.ids import CustomerId, IntentId, VendorId
from router.json_values import Phone
from router.work import Work

SLOTS_A_DAY: Final = 3

_SLOT_OF_INTENT: Final = "SELECT day, slot FROM daily_intent_slots WHERE intent_id = %s FOR UPDATE"
_FREE_SLOT: Final = "DELETE FROM daily_intent_slots WHERE intent_id = %s"
_TAKE_SLOT: Final = """
    INSERT INTO daily_intent_slots (customer_phone, day, slot, vendor_id, intent_id, created_at)
    VALUES (%(customer_phone)s, %(day)s, %(slot)s, %(vendor_id)s, %(intent_id)s, %(now)s)
    ON CONFLICT DO NOTHING
    """
_SLOTS_OF_PHONE: Final = """
    SELECT slot FROM daily_intent_slots WHERE customer_phone = ANY(%s) AND customer_phone <> %s AND day = %s
    """
_SLOTS_OF_CUSTOMER: Final = "SELECT day_slot FROM payment_intents WHERE vendor_id = %s AND customer_id = %s AND day = %s"


def claim_slot(
    databases: Databases,
    *,
    vendor_id: VendorId,
    intent_id: IntentId,
    customer_phone: str,
    day: date,
    taken: AbstractSet[int] = frozenset(),
    now: datetime,
) -> int | None:
    """Claim one of the customer's three slots of this Nairobi day, over all vendors; None when there is none left.

    Committed on its own, before the intent exists: a crash in between costs a slot and never gives a fourth. The same
    intent gets the slot it has; one claimed yesterday by a turn that never committed is given back first.
    """
    with databases.platform() as conn:
        # What was taken under another key, or before there was one.
        forms = databases.forms(customer_phone)
        taken = taken | {row["slot"] for row in conn.execute(_SLOTS_OF_PHONE, (forms, forms[0], day))}
        held = conn.execute(_SLOT_OF_INTENT, (intent_id,)).fetchone()
        if held is not None and held["day"] == day and held["slot"] not in taken:
            return int(held["slot"])
        if held is not None:
            conn.execute(_FREE_SLOT, (intent_id,))
        for slot in range(1, SLOTS_A_DAY + 1):
            row = {"customer_phone": Phone(customer_phone), "day": day, "slot": slot, "vendor_id": vendor_id}
            # ON CONFLICT waits for whoever is inserting the same slot, so a refused slot is really taken.
            if slot not in taken and conn.execute(_TAKE_SLOT, row | {"intent_id": intent_id, "now": now}).rowcount == 1:
                return slot
    return None


def list_slots(work: Work, customer_id: CustomerId, day: date) -> frozenset[int]:
    """List the slots this customer's intents with this vendor have on a day."""
    rows = work.conn.execute(_SLOTS_OF_CUSTOMER, (work.vendor_id, customer_id, day))
    return frozenset(row["day_slot"] for row in rows)
