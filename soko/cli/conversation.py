"""`soko conversation`: the vendor's people take part in a chat, and give it back to its flow."""

import json
from typing import Annotated, Any
from uuid import UUID

import typer

from soko.cli.failures import fail
from soko.cli.opening import JsonOption, VendorArgument, open_work

commands = typer.Typer(
    name="conversation", help="Write to a customer as a person, and give the chat back to its flow.", no_args_is_help=True
)
ConversationArgument = Annotated[UUID, typer.Argument(help="the conversation's id, as `soko conversation list` shows it")]


@commands.command("list")
def list_latest(
    vendor: VendorArgument,
    *,
    limit: Annotated[int, typer.Option(help="at most so many, the latest first")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List conversations, and the state that each is in."""
    from conversation.authoring.stand_ins import mask_phones
    from router import conversations

    with open_work(vendor) as work:
        found = conversations.list_latest(work, limit=limit)
    for each in found:
        shown: dict[str, Any] = {
            "id": str(each.id),
            "state": f"{each.flow}.{each.state}" if each.flow else None,
            "heard_at": each.last_inbound_at.isoformat() if each.last_inbound_at else None,
            "customer": each.name or mask_phones(each.phone or "") or None,
        }
        line = f"{shown['id']}  {shown['heard_at'] or '-'}  {shown['state'] or '-'}  {shown['customer'] or '-'}"
        typer.echo(json.dumps(shown) if as_json else line)
    if not found and not as_json:
        typer.echo("Nobody has written yet.", err=True)


@commands.command("say")
def say(
    vendor: VendorArgument, conversation: ConversationArgument, text: Annotated[str, typer.Argument(help="what to write")]
) -> None:
    """Write to the customer. Refused when the customer's last message is more than 24 hours old."""
    _take(vendor, conversation, text)
    typer.echo("It is on its way.")


@commands.command("resume")
def resume(vendor: VendorArgument, conversation: ConversationArgument) -> None:
    """Give the conversation back: its flow goes on where the handoff says."""
    state = _take(vendor, conversation, None)
    typer.echo(f"The conversation is at {state} now." if state else "No flow runs now: the customer's next message starts one.")


def _take(vendor: UUID, conversation: UUID, text: str | None) -> str | None:
    """Keep what the person did, and take its turn. Returns the state that the conversation is in then."""
    from conversation import people
    from router import conversations, inbox
    from router.ids import ConversationId, VendorId
    from router.work import unit_of_work
    from soko.assembly import build_turns, open_databases, open_flows
    from soko.clock import utc_now
    from soko.embedded import engines
    from soko.settings import load_settings

    settings, vendor_id, conversation_id = load_settings(), VendorId(vendor), ConversationId(conversation)
    with engines(settings) as urls, open_databases(settings, urls) as databases:
        with unit_of_work(databases, vendor_id) as work:
            if text is not None:
                entry_id = people.say(work, conversation_id, text, now=utc_now())
            else:
                entry_id = people.give_back(work, conversation_id, now=utc_now())
        build_turns(databases, urls, open_flows(databases)).handle(vendor_id, entry_id)
        with unit_of_work(databases, vendor_id) as work:
            failed = [kept for kept in inbox.list_failed(work, limit=10_000) if kept.id == entry_id]
            snapshot = conversations.get(work, conversation_id).snapshot or {}
    if failed:
        fail(f"the turn failed: {failed[0].error}")
    frames = snapshot.get("frames") or ()
    top: Any = frames[-1] if isinstance(frames, list) and frames else None
    return f"{top['flow']}.{top['state']}" if top else None
