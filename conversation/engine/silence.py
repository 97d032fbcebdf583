"""What happens when the customer says nothing while a question is open: reminders, then expiry.

Both count from the customer's last message or from the question, whichever is later. Every message of the customer
arms them anew under the turn it came in ("expires@13"), so an older one that still fires changes nothing.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from conversation.engine.effects import SetTimer
from conversation.engine.flow import Expiry, templates_only
from conversation.engine.running import Running
from conversation.engine.snapshot import Wait

EXPIRES: Final = "expires@"
REMIND: Final = "remind:"
_LAST_MINUTES: Final = timedelta(minutes=5)


def arm(running: Running) -> None:
    """Set the timers of silence if a question was asked in this turn, or the customer spoke and it is still open."""
    wait = running.top.wait if running.frames else None
    if wait is None or not running.state.asks or not _is_new(running, wait):
        return
    wait = replace(wait, since=running.turn)
    running.top = replace(running.top, wait=wait)
    expiry = _expiry(running)
    if expiry is not None:
        due = running.at + timedelta(seconds=expiry[1].seconds)
        if running.at < running.window_ends <= due:
            due = running.window_ends - _LAST_MINUTES  # a visit took long: later, nothing that is said would arrive
        running.effects.append(SetTimer(name=f"{EXPIRES}{wait.since}", due_at=due, turn=wait.turn))
    _arm_reminder(running, wait)


def _is_new(running: Running, wait: Wait) -> bool:
    return running.turn in (wait.turn, running.spoke_turn) or running.silence_is_new


def fire(running: Running, name: str) -> bool:
    """Remind or expire. False when the timer is older than the customer's last message, or there is nothing to do."""
    wait = running.top.wait
    kind, _, since = name.partition("@")
    if wait is None or since != str(wait.since):
        return False
    if name.startswith(REMIND):
        return _remind(running, wait, int(kind.removeprefix(REMIND)))
    expiry = _expiry(running)
    if expiry is None:
        return False
    running.note("expired", f"{running.top.flow}.{running.top.state}")
    running.unwind_to(expiry[0])
    running.run(expiry[1].to)
    return True


def _expiry(running: Running) -> tuple[int, Expiry] | None:
    """The expiry that holds now: the running flow's, else that of the nearest flow under it."""
    for index in reversed(range(len(running.frames))):
        expiry = running.bundle.flows[running.frames[index].flow].expiry
        if expiry is not None:
            return index, expiry
    return None


def _remind(running: Running, wait: Wait, number: int) -> bool:
    reminder = running.flow.reminder
    if reminder is None or wait.state not in reminder.states or not wait.reminded == number - 1 < reminder.times:
        return False
    wait = replace(wait, reminded=number)
    running.top = replace(running.top, wait=wait)
    running.note("reminded", f"{running.top.flow}.{wait.state}", number=number)
    running.say(reminder.say)
    _arm_reminder(running, wait)
    return True


def _arm_reminder(running: Running, wait: Wait) -> None:
    reminder = running.flow.reminder
    if reminder is None or wait.state not in reminder.states or wait.reminded >= reminder.times:
        return
    due = reminder.hours.shift(running.at + timedelta(seconds=reminder.seconds), running.bundle.timezone)
    if due >= running.window_ends and not templates_only(reminder.say):
        return  # WhatsApp would not take it
    running.effects.append(SetTimer(name=f"{REMIND}{wait.reminded + 1}@{wait.since}", due_at=due, turn=wait.turn))
