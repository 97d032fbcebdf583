"""The compiled shape of flows."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Bundle:
    """All flows of a deployment at one moment, compiled. `hash` is the content's."""

    hash: str
