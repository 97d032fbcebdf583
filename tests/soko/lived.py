"""Conversations that took place: transcripts done on the real turn, router and payments, and kept."""

from functools import cache

from conversation.authoring.read_transcripts import parse_transcripts
from conversation.authoring.transcripts import Transcript
from conversation.context import Shelves
from conversation.engine.flow import Bundle
from conversation.kept_turns import read_conversation
from conversation.recorded import RecordedTurn
from conversation.whatsapp.outbound import CloudApi
from router.databases import SHARED, Databases
from router.ids import ConversationId, VendorId
from router.rehearsal import Rehearsal
from router.work import unit_of_work
from soko.replay.play import _Scene
from soko.replay.world import Props
from tests.flows import load_flows

PHONE = "254712345678"
HEAD = """\
test: lived
flow: shop
given: {now: 2026-03-02 09:15, customer: {phone: "+%s", first_name: "Wanjiku Kamau"}, vendor: mama-duka}
"""


@cache
def flows() -> Bundle:
    """The project's flows, loaded once."""
    return load_flows()


def to_transcript(acts: str, *, phone: str = PHONE, mpesa: str = "") -> Transcript:
    (transcript,) = parse_transcripts(HEAD % phone + (f"mpesa: {mpesa}\n" if mpesa else "") + f"chat:\n{acts}", file="lived")
    return transcript


def live(databases: Databases, transcript: Transcript, bundle: Bundle | None = None) -> None:
    """Do what the transcript does, for good."""
    cloud_api = CloudApi(base_url="http://127.0.0.1:9")
    with databases.platform() as platform, databases.across(SHARED) as ops:
        stage = Rehearsal(databases, platform=platform, ops=ops)
        watched = _Scene(transcript).watch(stage, Props(bundle=bundle or flows(), cloud_api=cloud_api, shelves=Shelves()))
    cloud_api.close()
    assert watched.problem is None, watched.problem


def kept(databases: Databases, vendor_id: VendorId) -> list[RecordedTurn]:
    """The turns of the one conversation there is."""
    with unit_of_work(databases, vendor_id) as work:
        return read_conversation(work, conversation_id(databases, vendor_id))


def conversation_id(databases: Databases, vendor_id: VendorId) -> ConversationId:
    with databases.ops(vendor_id) as conn:
        (row,) = conn.execute("SELECT id FROM conversations").fetchall()
    return ConversationId(row["id"])
