"""`soko conversation`: a person takes part from the command line."""

import json
from datetime import timedelta
from uuid import uuid4

import pytest

from conversation.whatsapp.inbound import Text
from router.databases import Databases
from router.ids import VendorId
from soko.clock import utc_now
from soko.settings import Settings
from tests.conversation.test_turn import Chat
from tests.soko.test_cli import soko


@pytest.fixture
def environment(settings: Settings) -> dict[str, str]:
    return {
        "SOKO_PLATFORM_URL": str(settings.platform_url),
        "SOKO_OPS_URL": str(settings.ops_url),
        "SOKO_REDIS_URL": str(settings.redis_url),
    }


def test_a_person_is_listed_what_waits_writes_and_gives_it_back(
    databases: Databases, vendor_id: VendorId, environment: dict[str, str]
) -> None:
    chat = Chat(databases, vendor_id, utc_now() - timedelta(minutes=5))
    chat.say(Text(text="support"))
    chat.say(Text(text="agent"))
    conversation = str(chat.reports[-1].conversation_id)

    vendors = [json.loads(line) for line in soko("vendor", "list", "--json", environment=environment).stdout.splitlines()]
    assert (str(vendor_id), "shared") in {(vendor["id"], vendor["isolation_level"]) for vendor in vendors}
    listed = soko("conversation", "list", str(vendor_id), environment=environment)
    assert (conversation in listed.output, "support.person" in listed.output, "Mteja" in listed.output) == (True, True, True)
    said = soko("conversation", "say", str(vendor_id), conversation, "Hello!", environment=environment)
    assert (said.exit_code, said.output.endswith("It is on its way.\n")) == (0, True)
    assert [row["text"] for row in chat.rows("SELECT message ->> 'text' AS text FROM outbox WHERE place = 'person'")] == [
        "Hello!"
    ]
    back = soko("conversation", "resume", str(vendor_id), conversation, environment=environment)
    assert back.output.endswith("No flow runs now: the customer's next message starts one.\n")


def test_a_conversation_that_is_not_there_is_a_plain_sentence(environment: dict[str, str], vendor_id: VendorId) -> None:
    nobody = soko("conversation", "say", str(vendor_id), str(uuid4()), "Hello!", environment=environment)
    assert nobody.exit_code == 1
    assert "there is no conversation" in nobody.output
