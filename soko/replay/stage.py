"""Where transcripts are played: databases that stay as they are, and flows loaded once."""

import linecache
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Final

from conversation.authoring.coverage import Coverage, measure
from conversation.authoring.load import load_bundle, load_draft
from conversation.authoring.transcripts import Transcript
from conversation.context import Shelves
from conversation.engine.flow import Bundle
from conversation.services import CATALOGUE
from conversation.whatsapp.outbound import CloudApi
from payments import stk
from router import catalog, rehearsal, rehearsal_databases
from router.catalog import CatalogItem
from router.databases import Databases
from router.sealed import Sealer
from soko.embedded import Urls, engines
from soko.errors import NotReady
from soko.replay.play import Played, Watched, play, watch
from soko.replay.world import Props
from soko.settings import Settings

APP_FILE: Final = "app.yaml"
PAIRS: Final = (rehearsal_databases.FIRST, "b")  # a third one brings nothing: Python is busy all the time by then
SUFFIX: Final = ".test.yaml"


class Stage:
    """Plays transcripts, one at a time on each pair of databases."""

    def __init__(self, databases: Databases, *others: Databases, push: Callable[..., bool] = stk.push_next) -> None:
        """`push` stands for the push job's part, for shops that break a rule on purpose."""
        self._databases = databases
        self._pairs = (databases, *others)
        self._push = push
        self._cloud_api = CloudApi(base_url="http://127.0.0.1:9")  # a worker has one; a replay sends nothing
        self._shelves = Shelves()
        self._loaded: dict[Path, Bundle] = {}
        self.draft = False

    def play(self, transcript: Transcript) -> Played:
        """Play one transcript with the flows it stands beside. Errors: FlowErrors when these do not load, NotReady."""
        return play(transcript, self._databases, self._props(transcript))

    def play_all(self, transcripts: Sequence[Transcript]) -> Iterator[Played]:
        """Play transcripts side by side, one on each pair: Python works for one while PostgreSQL does for another.

        They come back in their order. Errors: as for play.
        """
        props = [self._props(transcript) for transcript in transcripts]  # what does not load is told before anything is played
        free: SimpleQueue[Databases] = SimpleQueue()
        for pair in self._pairs:
            free.put(pair)

        def play_one(transcript: Transcript, its_props: Props) -> Played:
            pair = free.get()
            try:
                return play(transcript, pair, its_props)
            finally:
                free.put(pair)

        with ThreadPoolExecutor(len(self._pairs)) as threads:
            yield from threads.map(play_one, transcripts, props)

    def watch(self, transcript: Transcript) -> Watched:
        """Do what a transcript does, whatever the shop answers. Errors: as for play."""
        return watch(transcript, self._databases, self._props(transcript))

    def measure(self, played: Sequence[Played]) -> Coverage:
        """Count what these transcripts met of the flows they stand beside. Errors: NotReady when these are not the same."""
        folders = {find_flows(Path(one.transcript.file)) for one in played}
        if len(folders) != 1:
            raise NotReady(f"Coverage is of one folder of flows, not of {', '.join(map(str, sorted(folders))) or 'none'}.")
        return measure(
            self.flows_in(folders.pop()),
            (turn for one in played for turn in one.heard),
            line_of=lambda at: linecache.getline(at.file, at.line),
        )

    def bundle(self, transcript: Transcript) -> Bundle:
        """Return the flows that a transcript stands beside. Errors: as for play."""
        return self.flows_in(find_flows(Path(transcript.file)))

    def flows_in(self, folder: Path) -> Bundle:
        """Return the flows of a folder, loaded once. Errors: FlowErrors when they do not load."""
        folder = folder.resolve()
        if folder not in self._loaded:
            self._loaded[folder] = (load_draft if self.draft else load_bundle)(folder, CATALOGUE)
        return self._loaded[folder]

    def take(self, folder: Path, bundle: Bundle) -> None:
        """Play the transcripts of a folder with this bundle, which was published, whatever newer checks say of it."""
        self._loaded[folder.resolve()] = bundle

    def sells(self, vendor: str) -> tuple[CatalogItem, ...]:
        """What the vendor of this name sells here; nothing when there is no such vendor."""
        named = [vendor_id for vendor_id, name in rehearsal.list_vendors(self._databases).items() if name == vendor]
        return catalog.read_items(self._databases, named[0]) if named else ()

    def close(self) -> None:
        """Close the connections."""
        for pair in self._pairs:
            pair.close()
        self._cloud_api.close()

    def _props(self, transcript: Transcript) -> Props:
        return Props(bundle=self.bundle(transcript), cloud_api=self._cloud_api, shelves=self._shelves, push=self._push)


@contextmanager
def open_stage(*, platform_url: str, ops_url: str, push: Callable[..., bool] = stk.push_next) -> Iterator[Stage]:
    """Give a stage on these databases: migrated and seeded ones that nobody writes to. `push` as for Stage."""
    stage = Stage(_open(platform_url, ops_url), push=push)
    try:
        yield stage
    finally:
        stage.close()


@contextmanager
def open_own_stage(settings: Settings, *, draft: bool = False) -> Iterator[Stage]:
    """Give a stage on databases of its own, on the servers of these settings; they are made when they are missing.

    `draft`: flows that somebody is at work on are played although their translations lag behind.
    """
    if not settings.is_development:
        raise NotReady("Transcripts are played in development only: SOKO_ENV is production.")
    with engines(settings) as urls, open_stage_at(urls) as stage:
        stage.draft = draft
        yield stage


@contextmanager
def open_stage_at(urls: Urls) -> Iterator[Stage]:
    """Give a stage on databases of its own, on these servers."""
    pairs = [rehearsal_databases.make_databases(platform_url=urls.platform, ops_url=urls.ops, pair=pair) for pair in PAIRS]
    stage = Stage(*(_open(platform, ops) for platform, ops in pairs))
    try:
        yield stage
    finally:
        stage.close()


def _open(platform_url: str, ops_url: str) -> Databases:
    sealer = Sealer(lambda: ["nothing is kept, and what is played goes the way of what is real"])
    return Databases(platform_url=platform_url, ops_url=ops_url, resolve_secret=str, sealer=sealer)


def find_flows(transcript: Path) -> Path:
    """Return the folder of the flows that a transcript tests: the nearest one above it that holds an app.yaml."""
    for folder in transcript.resolve().parents:
        if (folder / APP_FILE).is_file():
            return folder
    raise NotReady(f"No flows belong to {transcript}: no folder above it has an {APP_FILE}.")


def find_transcripts(paths: Sequence[Path]) -> list[Path]:
    """List the *.test.yaml files at and below these paths, each once."""
    found: dict[Path, None] = {}
    for path in paths:
        for file in sorted(path.rglob(f"*{SUFFIX}")) if path.is_dir() else [path]:
            found[file] = None
    return list(found)
