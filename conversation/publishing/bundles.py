"""Bundles from files that were published or are about to be: a process builds one content once."""

from collections.abc import Mapping
from functools import lru_cache

from conversation.authoring.load import build_bundle
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE

BUILT_KEPT = 8


def build(files: Mapping[str, bytes]) -> Bundle:
    """Check and build a bundle for this program's own catalogue. Raises FlowErrors."""
    return _build(tuple(sorted(files.items())))


@lru_cache(maxsize=BUILT_KEPT)
def _build(files: tuple[tuple[str, bytes], ...]) -> Bundle:
    return build_bundle(dict(files), CATALOGUE)
