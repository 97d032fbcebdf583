"""Development's flows on disk, made live as they are edited: by the rules of every publish, and told in the terminal."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO

from conversation.authoring.load import DRAFT, check_files, read_published
from conversation.authoring.problems import FlowErrors
from conversation.publishing.publish import propose, publish
from conversation.services import CATALOGUE
from router.databases import Databases
from router.errors import Refused
from soko.clock import utc_now


class Offering:
    """A folder of flows that is published whenever it has changed. What is wrong with it is said, and nothing is published.

    A translation that lags behind is said as well, and does not hold the work up: its customers read the base language.
    What was edited is rehearsed: its transcripts are played beside everything else, and those that fail are said.
    """

    def __init__(self, databases: Databases, folder: Path, report: Callable[[str], None]) -> None:
        self._databases = databases
        self._folder = folder
        self._report = report
        self._seen: dict[Path, int] = {}
        self._rehearsal: tuple[subprocess.Popen[bytes], IO[bytes]] | None = None

    def look(self) -> None:
        """Publish the folder if a file of it has changed since the last look. Raises Unavailable."""
        self._hear()
        times = {path: path.stat().st_mtime_ns for path in self._folder.rglob("*.yaml") if path.is_file()}
        if times == self._seen:
            return
        edited, self._seen = bool(self._seen), times
        if self._publish() and edited:
            self._rehearse()

    def close(self) -> None:
        """Stop a rehearsal that is under way."""
        if self._rehearsal is not None:
            process, said = self._rehearsal
            process.kill()
            process.wait()
            said.close()
            self._rehearsal = None

    def _rehearse(self) -> None:
        self.close()
        if any((self._folder / "tests").glob("*.test.yaml")):
            command = [sys.executable, "-m", "soko", "replay", "--quiet", "--draft", "--flows", str(self._folder)]
            said = TemporaryFile()  # noqa: SIM115 - closed when it was read; a pipe would fill up while nobody reads it
            self._rehearsal = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT), said

    def _hear(self) -> None:
        if self._rehearsal is not None and self._rehearsal[0].poll() is not None:
            said = self._rehearsal[1]
            said.seek(0)
            self._report(f"Transcripts: {said.read().decode().strip()}")
            self.close()

    def _publish(self) -> bool:
        """Publish the folder as it is, and return whether it is live."""
        try:
            files, migrations = read_published(self._folder)
            checked = check_files(files, CATALOGUE, tolerated=DRAFT)
            if checked.bundle is None:
                raise FlowErrors(checked.problems)
            for lagging in checked.problems:
                self._report(str(lagging))
            proposal = propose(self._databases, files, migrations, draft=checked.bundle)
            if not proposal.is_live:
                publish(self._databases, proposal, by="development", now=utc_now())
                self._report(f"Flows {proposal.bundle.hash} are live")
            return True
        except FlowErrors as errors:
            self._report(f"{errors}\nThe flows before this change go on.")
        except Refused as refused:
            self._report(f"{refused}\nThe flows before this change go on. `soko flow publish --plan` shows the whole table.")
        return False
