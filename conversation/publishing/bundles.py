"""Bundles from files that are about to be published, or were: a process builds one content once."""

from collections.abc import Mapping
from functools import lru_cache

from conversation.authoring.load import build_bundle, build_published
from conversation.authoring.problems import FlowErrors
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE

BUILT_KEPT = 8


def build(files: Mapping[str, bytes]) -> Bundle:
    """Check and build a bundle for this program's own catalogue. Raises FlowErrors."""
    return _build(tuple(sorted(files.items())))


def build_kept(files: Mapping[str, bytes]) -> Bundle:
    """Build a bundle that passed the check when it was published, perhaps that of another program. Raises FlowErrors.

    A check that is new since then must not stop those who are in it: what it is about fails the turn that comes to it.
    """
    return _build_kept(tuple(sorted(files.items())))


@lru_cache(maxsize=BUILT_KEPT)
def _build_kept(files: tuple[tuple[str, bytes], ...]) -> Bundle:
    try:
        return _build(files)
    except FlowErrors:
        return build_published(dict(files), CATALOGUE)


@lru_cache(maxsize=BUILT_KEPT)
def _build(files: tuple[tuple[str, bytes], ...]) -> Bundle:
    return build_bundle(dict(files), CATALOGUE)
