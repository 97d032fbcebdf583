"""Flows that start by the clock, whatever the conversation is about by then: as a visit, as a late event does."""

from datetime import timedelta
from typing import Final

from conversation.engine.effects import Emit
from conversation.engine.running import Running

SCHEDULE: Final = "schedule:"
MISSED: Final = "schedule_missed"
_PUT_OFF: Final = timedelta(hours=1)


def fire(running: Running, name: str, turn: int) -> bool:
    """Start the flow. False when the timer is not the latest one of its flow.

    While people have the chat it is put off. Once the customer has been silent for 24 hours it is not started, and that is
    counted: WhatsApp would take nothing it says, unless it begins with a template.
    """
    flow = name.removeprefix(SCHEDULE)
    if running.scheduled.get(flow) != turn:
        return False
    running.scheduled = {other: set_by for other, set_by in running.scheduled.items() if other != flow}
    known = running.bundle.flows.get(flow)
    if known is None or (running.at >= running.window_ends and not known.reaches_out):
        running.note("schedule missed", flow)
        running.effects.append(Emit(name=MISSED, place=flow))
    elif any(frame.flow == flow for frame in running.frames):
        running.note("schedule runs already", flow)
    elif running.frames and running.state.people is not None:
        running.start_at(flow, running.at + _PUT_OFF)
    else:
        running.note("schedule", flow)
        running.run(running.push(flow, visiting=bool(running.frames)))
    return True
