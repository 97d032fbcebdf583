"""The project's flows, checked and built once a process."""

from functools import cache

from conversation.engine.flow import Bundle
from soko import assembly


@cache
def load_flows() -> Bundle:
    """Give the bundle of flows/."""
    return assembly.load_flows()
