"""What a job works with. The composition root puts it in place once a process; RQ hands a job only a vendor id."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from conversation.turn import Turns
from conversation.whatsapp.outbound import CloudApi
from payments.daraja import Daraja
from router.databases import Databases
from router.errors import Broken
from router.wakeups import Wakeups
from router.webhooks.signing import Signing


@dataclass(frozen=True, kw_only=True)
class Tools:
    """The edges a worker process holds open."""

    databases: Databases
    turns: Turns
    cloud_api: CloudApi
    daraja: Daraja
    wakeups: Wakeups
    open_secret: Callable[[str], str]
    clock: Callable[[], datetime]
    trace_days: int  # for so long each turn is kept as it went
    signing: Signing = field(default_factory=Signing)  # of what goes to vendors' webhooks
    callback_base_url: str  # where M-Pesa reaches us, without a trailing slash


_held: list[Tools] = []


def hold(tools: Tools) -> None:
    """Make these the tools of this process."""
    _held[:] = [tools]


def held() -> Tools:
    """Give the tools of this process. Broken: a job was run outside a worker process."""
    if not _held:
        raise Broken("this process holds no tools: jobs are run by `soko worker`")
    return _held[0]
