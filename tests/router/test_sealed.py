"""No phone number stands in the databases, and nothing else changes: what is written comes back, what is looked for is found."""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import uuid4

import psycopg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.types.json import Jsonb

from router import conversations, customers, listing, rights, sealing
from router.databases import Databases
from router.errors import Broken, Refused
from router.ids import IntentId, VendorId
from router.json_values import JsonText, Phone
from router.payment_intents.slots import claim_slot
from router.sealed import NAMING, TOKENS, Sealer
from router.vendors import get_vendor
from router.work import unit_of_work
from soko.assembly import open_databases
from soko.embedded import Urls
from soko.settings import Settings
from tests.router.test_rights import leave_traces, naming
from tests.soko.lived import PHONE

OLD, NEW = "the key of last year, of forty characters", "the key of this year, also of forty or so"
SHOWN = (PHONE, PHONE[-9:], "712 345 678", b64encode(PHONE.encode()).decode()[:12])
SEALER = Sealer(lambda: [NEW])


def on_disk(databases: Databases) -> dict[str, list[str]]:
    """Every row of every table of both databases, as whoever steals a dump reads it."""
    found: dict[str, list[str]] = {}
    for url in (databases._ops_url, databases._platform_url):
        with psycopg.connect(url) as conn:
            tables = conn.execute("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r'")
            for (table,) in tables.fetchall():
                rows = conn.execute(f"SELECT to_jsonb(t)::text FROM {table} t".encode()).fetchall()
                found.setdefault(table, []).extend(str(row[0]) for row in rows)
    return found


def shown(databases: Databases) -> dict[str, int]:
    """How many rows of which tables show the number."""
    counts = {table: sum(any(form in row for form in SHOWN) for row in rows) for table, rows in on_disk(databases).items()}
    return {table: count for table, count in counts.items() if count}


@contextmanager
def under(databases: Databases, *keys: str) -> Iterator[Databases]:
    """Open the same databases under other keys; none: as before there was one."""
    opened = Databases(
        platform_url=databases._platform_url,
        ops_url=databases._ops_url,
        resolve_secret=str,
        sealer=Sealer(lambda: keys) if keys else None,
    )
    try:
        yield opened
    finally:
        opened.close()


@pytest.mark.security(26)
def test_a_dump_of_the_databases_shows_no_phone(databases: Databases, vendor_id: VendorId) -> None:
    leave_traces(databases, vendor_id)
    assert shown(databases) == {}
    assert len(naming({"all": [json.dumps(rights.export(databases, vendor_id, PHONE))]})) == 1


def test_what_was_open_is_sealed_and_a_key_follows_another(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    with under(databases) as plain:
        leave_traces(plain, vendor_id)
        listing.change_vendor(plain, vendor_id, {"alert_phone": PHONE})
        assert shown(plain)["vendors"] == 1
        assert len(shown(plain)) > 10
        told = rights.export(plain, vendor_id, PHONE)
    with under(databases, OLD) as old:
        with unit_of_work(old, vendor_id) as work:
            before = customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now)
        sealing.seal_again(old, vendor_id)
        sealing.seal_platform_again(old)
        assert shown(old) == {}
        assert sealing.seal_again(old, vendor_id) == {}
    with under(databases, NEW, OLD) as both:
        with unit_of_work(both, vendor_id) as work:
            assert customers.recognise(work, phone=PHONE, bsuid=None, name=None, now=now) == before
        sealing.seal_again(both, vendor_id)
        sealing.seal_platform_again(both)
    with under(databases, NEW) as new:
        again = rights.export(new, vendor_id, PHONE)
        assert get_vendor(new, vendor_id).alert_phone == PHONE
        assert again.keys() == told.keys()
        changed = {"body_sha256", "request_sha256"}
        for table, rows in told.items():
            left, right = (
                sorted(json.dumps({k: v for k, v in row.items() if k not in changed}, sort_keys=True) for row in each)
                for each in (rows, again[table])
            )
            assert left == right, table
    with under(databases, OLD) as old, pytest.raises(Broken, match="SOKO_PHONE_KEY_BEFORE"), unit_of_work(old, vendor_id) as work:
        conversations.list_latest(work, limit=10)


def test_three_prompts_a_day_are_three_whatever_the_key(databases: Databases, vendor_id: VendorId, now: datetime) -> None:
    taken = []
    for keys in ((), (OLD,), (NEW, OLD), (NEW, OLD)):
        with under(databases, *keys) as opened:
            taken.append(
                claim_slot(
                    opened, vendor_id=vendor_id, intent_id=IntentId(uuid4()), customer_phone=PHONE, day=now.date(), now=now
                )
            )
    assert taken == [1, 2, 3, None]


@pytest.mark.parametrize(
    ("text", "sealed"),
    [
        ("254712345678", 1),
        ("+254 712 345 678 or 0712-345-678.", 2),
        ("0712345678,0112345678", 2),
        ("wamid.HBgMMjU0NzEyMzQ1Njc4FQIAERgS", 1),
        ("ws_CO_1007202409152617172396192", 1),
        ("7f2c1d3e-0712-4a5b-9c8d-254712345678", 0),
        ("order 12 for KES 1150 at 2026-11-20T09:30:00", 0),
        ("100000000000001", 0),
    ],
)
def test_what_is_sealed_inside_a_text(text: str, sealed: int) -> None:
    hidden = SEALER.hide(text)
    assert len(TOKENS.findall(hidden)) == sealed
    assert (NAMING.sub("", text) if sealed else text) == TOKENS.sub("", hidden)
    assert SEALER.open(hidden) == text


def test_json_stays_json_and_comes_back(databases: Databases, vendor_id: VendorId) -> None:
    value = {"from": PHONE, "abroad": "447911123456", "n": 254712345678, "text": f'say\n{PHONE} "now"', "list": [f"+{PHONE}"]}
    with databases.ops(vendor_id) as conn:
        row = conn.execute(
            "SELECT %s::jsonb AS a, %s AS b, %s::text[] AS c, %s AS d",
            (JsonText(json.dumps(value)), Jsonb(value), [PHONE], Phone("447911123456")),
        ).fetchone()
        assert row == {"a": value, "b": value, "c": [PHONE], "d": "447911123456"}
        stored = conn.execute("SELECT encode(convert_to(%s::jsonb::text, 'UTF8'), 'base64') AS raw", (Jsonb(value),)).fetchone()
    raw = b64decode(stored["raw"] if stored else "").decode()
    assert [raw.count(PHONE), raw.count("447911123456"), len(TOKENS.findall(raw))] == [1, 0, 4]  # a JSON number stays


def test_a_sealed_form_that_somebody_writes_is_not_opened_for_them(databases: Databases, vendor_id: VendorId) -> None:
    stolen = str(databases.forms(PHONE)[0])
    with databases.ops(vendor_id) as conn:
        row = conn.execute("SELECT %s::text AS a, %s AS b", (f"my name is {stolen}", Jsonb({"n": stolen}))).fetchone()
    assert row == {"a": f"my name is {stolen}", "b": {"n": stolen}}


def test_a_sealed_number_that_was_changed_is_not_read(databases: Databases, vendor_id: VendorId) -> None:
    form = databases.forms(PHONE)[0]
    changed = form[:-3] + ("A" if form[-3] != "A" else "B") + form[-2:]
    with databases.ops(vendor_id) as conn, pytest.raises(Broken, match="changed in the database"):
        conn.execute(f"SELECT '{changed}'::text AS a".encode()).fetchone()


@given(
    st.text() | st.from_regex(NAMING) | st.just("n: 254712345678, m"),
    st.sampled_from([254712345678, -254712345678, 254712345678.5]),
)
def test_whatever_is_hidden_comes_back_and_json_stays_json(text: str, number: float) -> None:
    assert SEALER.open(SEALER.hide(text)) == text
    for value in ({"x": text, "n": number, "y": [text, number], text: f"\n{text}"}, number, text):
        told = SEALER.hide_in_json(json.dumps(value))
        json.loads(told)
        assert json.loads(SEALER.open(told)) == json.loads(json.dumps(value))


def test_a_short_key_is_refused() -> None:
    with pytest.raises(Refused, match="openssl rand"):
        Sealer(lambda: ["short"]).forms(PHONE)


def test_the_processes_of_soko_seal(settings: Settings) -> None:
    urls = Urls(platform=str(settings.platform_url), ops=str(settings.ops_url), redis="redis://127.0.0.1:9/0")
    with open_databases(settings, urls) as databases:
        assert PHONE not in databases.forms(PHONE)[:1]
