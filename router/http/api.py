"""The HTTP API as a whole: what every route is given, and the list of them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from router.clock import utc_now
from router.databases import Databases
from router.rate_limits import RateLimits
from router.webhooks.signing import Signing


@dataclass(frozen=True, kw_only=True)
class Api:
    """`clock` gives the time of a request, aware UTC."""

    databases: Databases
    limits: RateLimits
    clock: Callable[[], datetime] = utc_now
    signing: Signing = field(default_factory=Signing)
