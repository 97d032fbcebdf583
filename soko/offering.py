"""Development's flows on disk, made live as they are edited: by the rules of every publish, and told in the terminal."""

from collections.abc import Callable
from pathlib import Path

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
    """

    def __init__(self, databases: Databases, folder: Path, report: Callable[[str], None]) -> None:
        self._databases = databases
        self._folder = folder
        self._report = report
        self._seen: dict[Path, int] = {}

    def look(self) -> None:
        """Publish the folder if a file of it has changed since the last look. Raises Unavailable."""
        times = {path: path.stat().st_mtime_ns for path in self._folder.rglob("*.yaml") if path.is_file()}
        if times == self._seen:
            return
        self._seen = times
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
        except FlowErrors as errors:
            self._report(f"{errors}\nThe flows before this change go on.")
        except Refused as refused:
            self._report(f"{refused}\nThe flows before this change go on. `soko flow publish --plan` shows the whole table.")
