"""Bundles from files that are about to be published, or were."""

from collections.abc import Mapping
from functools import lru_cache

from conversation.authoring.load import BUILT_KEPT, build_bundle, build_published
from conversation.authoring.problems import FlowErrors
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE


def build(files: Mapping[str, bytes]) -> Bundle:
    """Check and build a bundle for this program's own catalogue. Raises FlowErrors."""
    return build_bundle(files, CATALOGUE)


def build_kept(files: Mapping[str, bytes]) -> Bundle:
    """Build a bundle that passed the check when it was published, perhaps that of another program. Raises FlowErrors.

    A check that is new since then must not stop those who are in it: what it is about fails the turn that comes to it.
    """
    return _build_kept(tuple(sorted(files.items())))


@lru_cache(maxsize=BUILT_KEPT)
def _build_kept(files: tuple[tuple[str, bytes], ...]) -> Bundle:
    try:
        return build(dict(files))
    except FlowErrors:
        return build_published(dict(files), CATALOGUE)
