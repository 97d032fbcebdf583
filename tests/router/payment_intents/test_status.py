import re

import pytest

from router.databases import Databases
from router.errors import Broken
from router.ids import VendorId
from router.payment_intents.status import (
    NEXT_ATTEMPT,
    NEXT_INTENT,
    AttemptEvent,
    AttemptStatus,
    IntentEvent,
    IntentStatus,
    advance_attempt,
    advance_intent,
)


@pytest.fixture
def triggers(databases: Databases, vendor_id: VendorId) -> dict[str, set[tuple[str, str]]]:
    """Read the pairs the database's own triggers allow."""
    with databases.ops(vendor_id) as conn:
        rows = conn.execute(
            "SELECT proname, prosrc FROM pg_proc WHERE proname IN ('payment_intents_guard', 'stk_attempts_guard')"
        ).fetchall()
    moves = {row["proname"]: row["prosrc"].partition("NEW.status) NOT IN (")[2].partition("THEN")[0] for row in rows}
    return {name: set(re.findall(r"\('(\w+)', '(\w+)'\)", text)) for name, text in moves.items()}


def test_the_database_allows_the_same_moves_as_the_tables(triggers: dict[str, set[tuple[str, str]]]) -> None:
    assert triggers["payment_intents_guard"] == {(str(before), str(after)) for (before, _), after in NEXT_INTENT.items()}
    assert triggers["stk_attempts_guard"] == {(str(before), str(after)) for (before, _), after in NEXT_ATTEMPT.items()}


def test_nothing_leads_back_to_prepared_or_dispatched_and_paid_is_the_end() -> None:
    assert {before for (before, _), after in NEXT_ATTEMPT.items() if after is AttemptStatus.DISPATCHED} == {
        AttemptStatus.PREPARED
    }
    assert AttemptStatus.PREPARED not in NEXT_ATTEMPT.values()
    assert IntentStatus.CONSENTED not in NEXT_INTENT.values()
    assert not [before for before, _ in NEXT_INTENT if before is IntentStatus.PAID]
    assert not [before for before, _ in NEXT_ATTEMPT if before is AttemptStatus.SUCCEEDED]


def test_a_move_that_is_not_in_the_table_is_broken() -> None:
    with pytest.raises(Broken, match="paid cannot take refuse"):
        advance_intent(IntentStatus.PAID, IntentEvent.REFUSE)
    with pytest.raises(Broken, match="rejected cannot take dispatch"):
        advance_attempt(AttemptStatus.REJECTED, AttemptEvent.DISPATCH)


def test_every_unhappy_end_can_still_turn_out_paid() -> None:
    ends = {IntentStatus.FAILED, IntentStatus.EXPIRED, IntentStatus.CANCELLED, IntentStatus.NEEDS_REVIEW}
    assert {advance_intent(end, IntentEvent.CONFIRM) for end in ends} == {IntentStatus.PAID}
