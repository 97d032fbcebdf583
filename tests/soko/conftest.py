import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from soko.embedded import stop_kept
from soko.settings import Settings
from tests.servers import MEMORY


@pytest.fixture
def home() -> Iterator[Path]:
    """Give a home of this test's own, in memory; its engines are gone afterwards, whatever happened."""
    root = MEMORY if os.access(MEMORY, os.W_OK) else None
    directory = Path(tempfile.mkdtemp(prefix="soko-home-", dir=root))
    directory.chmod(0o711)  # root's PostgreSQL runs as `nobody`, who has to pass
    yield directory
    stop_kept(Settings(_env_file=None, home=directory))
    shutil.rmtree(directory)
