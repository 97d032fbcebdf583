"""Which slots a flow may still read: two situations that differ only in the others go on alike, word for word."""

from collections.abc import Mapping

from conversation.authoring.check.ways import Ways
from conversation.engine.flow import CallFlow, CallService, Flow, SetSlots, State


def live_slots(flow: Flow) -> Mapping[str, frozenset[str]]:
    """For each state: the slots that may be read there, or later before they are set again. Too many rather than too few."""
    slots = frozenset((*flow.slots, *flow.takes))
    ways = {name: Ways(flow, state) for name, state in flow.states.items()}
    needed = {name: _needed(flow, state) for name, state in flow.states.items()}
    entering = {
        name: needed[name] | frozenset(slot for read in found.reads for slot in read.names - read.after)
        for name, found in ways.items()
    }
    changed = True
    while changed:
        changed = False
        for name, found in ways.items():
            later = frozenset(slot for way in found.on for slot in entering[way.to] - way.sets)
            if not later <= entering[name]:
                entering[name] |= later
                changed = True
    silent = entering[flow.expiry.to] if flow.expiry is not None else frozenset[str]()
    return {
        name: slots
        & (
            needed[name]
            | silent
            | frozenset(slot for read in found.reads for slot in read.names)
            | frozenset(slot for way in found.on for slot in entering[way.to] - (way.sets - _set_before(flow.states[name])))
        )
        for name, found in ways.items()
    }


def _set_before(state: State) -> frozenset[str]:
    """What the state sets before it waits: while it waits, these hold their values."""
    return frozenset(
        slot
        for action in state.do
        for slot in (
            [slot for slot, _ in action.values]
            if isinstance(action, SetSlots)
            else [action.into or ""]
            if isinstance(action, CallService | CallFlow)
            else []
        )
    )


def _needed(flow: Flow, state: State) -> frozenset[str]:
    """What is read without being written there: a form's known answers, what the flow gives, what leaving it tells."""
    fields = frozenset(field.name for field in state.form.fields) if state.form is not None else frozenset[str]()
    gives = frozenset({flow.gives[0]}) if flow.gives is not None and state.end is not None else frozenset[str]()
    leaving = flow.on_leave
    told = [line.text for line in leaving.say] if leaving is not None else []
    names = {name for text in told for template in text.templates.values() for name in template.names}
    asked = [line.condition for line in leaving.say] if leaving is not None else []
    names |= {name for condition in asked if condition is not None for name in condition.expression.names}
    for action in leaving.do if leaving is not None else ():
        values = [value for _, value in action.values] if isinstance(action, SetSlots) else [getattr(action, "value", None)]
        names |= {name for value in values if value is not None for name in value.expression.names}
    return fields | gives | frozenset(names)
