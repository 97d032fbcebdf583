import io
import json
import logging
import sys
from collections.abc import Iterator

import pytest
import structlog

from soko.logs import configure, mask_text


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """Give what is logged, and put logging back as it was."""
    root = logging.getLogger()
    before = (root.handlers, root.level, logging.raiseExceptions)
    stream = io.StringIO()
    configure(stream=stream, pretty=False)
    yield stream
    root.handlers, level, logging.raiseExceptions = before
    root.setLevel(level)
    structlog.reset_defaults()


def only_line(written: io.StringIO) -> dict[str, object]:
    (line,) = written.getvalue().splitlines()
    found: dict[str, object] = json.loads(line)
    return found


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("254712345678", "2547****678"),
        ("+254112345678 paid", "+2541****678 paid"),
        ("from 0712345678, 0112345678", "from 07****678, 01****678"),
        ("tel:+447911123456", "tel:+4479****456"),
        ('{"PhoneNumber":254712345678}', '{"PhoneNumber":2547****678}'),
        (
            "/hooks/pay/c7af4716-f9ab-465d-9afb-f1047bf37a40/kE3_x-9?a=1",
            "/hooks/pay/c7af4716-f9ab-465d-9afb-f1047bf37a40/****?a=1",
        ),
        ("/webhooks/whatsapp?hub.verify_token=abc&hub.challenge=7", "/webhooks/whatsapp?hub.verify_token=****&hub.challenge=7"),
        ("Authorization: Bearer eyJhbGci.abc-def", "Authorization: Bearer ****"),
        ("postgresql://soko:s3cret@db/ops", "postgresql://soko:****@db/ops"),
    ],
)
def test_phones_and_secrets_are_masked_inside_text(text: str, masked: str) -> None:
    assert mask_text(text) == masked


@pytest.mark.parametrize(
    "text",
    [
        "order S0001, 254 bob, KES 1500",
        "1763800000",
        "phone_number_id 109876543210987",
        "wamid.HBgMMjU0NzEyMzQ1Njc4FQIAEhgg",
        "c7af4716-f9ab-465d-9afb-f1047bf37a40",
        "2026-11-20T09:30:00.123456Z",
        "SFF6XYZ123",
    ],
)
def test_what_is_no_phone_stays(text: str) -> None:
    assert mask_text(text) == text


def test_a_line_has_time_level_and_event_first(written: io.StringIO) -> None:
    structlog.get_logger().info("order_placed", order="S0001", amount=150)
    line = only_line(written)
    assert list(line)[:3] == ["ts", "level", "event"]
    assert line["event"] == "order_placed"
    assert line["amount"] == 150
    assert str(line["ts"]).endswith("Z")


def test_secrets_are_left_out_at_any_depth(written: io.StringIO) -> None:
    structlog.get_logger().info(
        "sent",
        access_token="canary",
        headers={"Authorization": "canary", "ok": 1},
        list=[{"appSecret": "canary"}],
        passkey="canary",
    )
    assert "canary" not in written.getvalue()
    assert only_line(written)["headers"] == {"ok": 1}


def test_phones_are_masked_in_every_value(written: io.StringIO) -> None:
    structlog.get_logger().info("to 254712345678", phone="254712345678", number=254712345678, body={"to": ["+254712345678"]})
    assert "254712345678" not in written.getvalue()
    line = only_line(written)
    assert (line["phone"], line["number"], line["body"]) == ("2547****678", "2547****678", {"to": ["+2547****678"]})


def test_what_is_bound_for_a_turn_is_on_every_line(written: io.StringIO) -> None:
    with structlog.contextvars.bound_contextvars(conversation_id="c1"):
        structlog.get_logger().info("one")
        logging.getLogger("rq.worker").warning("two")
    structlog.get_logger().info("three")
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    assert [line.get("conversation_id") for line in lines] == ["c1", "c1", None]


def test_the_web_servers_access_log_hides_callback_tokens(written: io.StringIO) -> None:
    logging.getLogger("uvicorn.access").info(
        '%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "POST", "/hooks/pay/c7af4716/canary", "1.1", 200
    )
    assert only_line(written)["event"] == '127.0.0.1:5 - "POST /hooks/pay/c7af4716/**** HTTP/1.1" 200'


def test_a_trace_is_one_line_and_masked(written: io.StringIO) -> None:
    def fail() -> None:
        raise ValueError("no customer 254712345678")

    try:
        fail()
    except ValueError:
        logging.getLogger("anything").exception("turn failed")
    line = only_line(written)
    assert "ValueError: no customer 2547****678" in str(line["exception"])
    assert "254712345678" not in written.getvalue()


def test_a_line_that_cannot_be_written_is_not_printed_unmasked(capsys: pytest.CaptureFixture[str]) -> None:
    before = (logging.getLogger().handlers, logging.getLogger().level, logging.raiseExceptions)
    stream = io.StringIO()
    configure(stream=stream, pretty=False)
    stream.close()
    structlog.get_logger().info("to 254712345678")
    logging.getLogger().handlers, level, logging.raiseExceptions = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()
    assert "254712345678" not in capsys.readouterr().err


def test_people_on_a_terminal_get_text(capsys: pytest.CaptureFixture[str]) -> None:
    before = (logging.getLogger().handlers, logging.getLogger().level, logging.raiseExceptions)
    configure(stream=sys.stdout, pretty=True)
    structlog.get_logger().info("paid by 254712345678")
    logging.getLogger().handlers, level, logging.raiseExceptions = before
    logging.getLogger().setLevel(level)
    structlog.reset_defaults()
    said = capsys.readouterr().out
    assert "paid by 2547****678" in said
    assert not said.startswith("{")
