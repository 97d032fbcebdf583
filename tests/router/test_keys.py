from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from uuid import UUID, uuid4

import pytest

from router import keys
from router.clock import utc_now
from router.databases import Databases
from router.errors import Refused
from router.ids import VendorId
from router.keys import Operation
from router.seeding import DUKA_LA_PILI
from soko.cli.key import OperationName

READ = Operation.READ_ORDERS


def make(
    databases: Databases, *, days: int | None = None, vendor_id: VendorId | None = None, may: tuple[Operation, ...] = ()
) -> str:
    now = utc_now()
    not_after = None if days is None else now + timedelta(days=days)
    return keys.create(databases, name="till", vendor_id=vendor_id, operations=may, not_after=not_after, now=now)[1]


def refusal(databases: Databases, key: str, vendor_id: VendorId | None, operation: Operation) -> str | None:
    try:
        keys.check_key(databases, key, vendor_id, operation)
    except Refused as refused:
        return refused.code
    return None


def test_a_key_is_bound_to_its_vendor_and_its_operations(databases: Databases, vendor_id: VendorId) -> None:
    key = make(databases, vendor_id=vendor_id, may=(READ,))
    assert refusal(databases, key, vendor_id, READ) is None
    assert refusal(databases, key, vendor_id, Operation.WRITE_ORDERS) == "key_operation"
    assert refusal(databases, key, VendorId(DUKA_LA_PILI), READ) == "key_vendor_mismatch"
    assert refusal(databases, key, None, READ) == "key_vendor_mismatch"
    assert refusal(databases, key + "x", vendor_id, READ) == "key_unknown"


def test_admin_is_only_what_was_made_for_it(databases: Databases, vendor_id: VendorId) -> None:
    assert refusal(databases, make(databases), None, Operation.ADMIN) == "key_operation"
    assert refusal(databases, make(databases, may=(Operation.ADMIN,)), None, Operation.ADMIN) is None


def test_the_database_knows_no_key(databases: Databases) -> None:
    key = make(databases)
    with databases.platform() as conn:
        (row,) = conn.execute("SELECT k.*, k::text AS said FROM internal_keys k WHERE name = 'till'").fetchall()
    assert key.removeprefix(keys.PREFIX) not in row["said"]
    assert row["key_sha256"] == keys.hash_key(key)
    assert len(key) >= len(keys.PREFIX) + 43  # 256 bits


def test_two_live_keys_let_a_caller_change_over(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    first, second = make(databases), make(databases)
    with pytest.raises(Refused, match="two keys named 'till' are live"):
        make(databases)
    assert [refusal(databases, key, vendor_id, READ) for key in (first, second)] == [None, None]
    listed = [key for key in keys.list_keys(databases, now=now) if key.name == "till"]
    keys.revoke(databases, listed[0].id, now=utc_now())
    assert sorted(str(refusal(databases, key, vendor_id, READ)) for key in (first, second)) == ["None", "key_unknown"]
    make(databases)
    ended = [key for key in keys.list_keys(databases, now=now, ended=True) if key.name == "till" and key.revoked_at]
    assert [key.id for key in ended] == [listed[0].id]


def test_many_at_once_make_two(databases: Databases) -> None:
    def attempt(_: int) -> str:
        try:
            return make(databases)
        except Refused as refused:
            return refused.code

    with ThreadPoolExecutor(8) as callers:
        made = [key for key in callers.map(attempt, range(8)) if key != "two_keys_live"]
    assert 1 <= len(made) <= 2


def test_an_expired_key_is_unknown_and_makes_room(databases: Databases, vendor_id: VendorId) -> None:
    old = [make(databases, days=1), make(databases, days=1)]
    with databases.platform() as conn:
        conn.execute("UPDATE internal_keys SET not_after = now() - interval '1 second' WHERE name = 'till'")
    assert [refusal(databases, key, vendor_id, READ) for key in old] == ["key_unknown"] * 2
    assert refusal(databases, make(databases), vendor_id, READ) is None


def test_what_cannot_be_made_or_ended_is_refused(databases: Databases, now: datetime) -> None:
    with pytest.raises(Refused, match="no vendor"):
        make(databases, vendor_id=VendorId(uuid4()))
    with pytest.raises(Refused, match="expired before"):
        make(databases, days=0)
    with pytest.raises(Refused, match="no key"):
        keys.revoke(databases, UUID(int=0), now=now)


def test_the_command_line_names_every_operation() -> None:
    assert [name.value for name in OperationName] == [operation.value for operation in Operation]
