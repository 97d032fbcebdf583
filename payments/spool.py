"""Callbacks and reports on disk while their database is away: Daraja may deliver once only, so what it told is kept first.

A file holds the token's hash, never the token. Files are written whole or not at all, and are deleted after the row is committed.
"""

import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Literal
from uuid import UUID

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError

from router.errors import Unavailable

log = structlog.get_logger(__name__)

MOST_FILES: Final = 10_000  # 160 MiB at most: nobody can check a token while the database is away
_SUFFIX: Final = ".callback"


class Kept(BaseModel):
    """One callback, or one report of money paid by hand (c2b). `token_sha256` in hex."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: Literal["stk", "c2b"] = "stk"
    vendor_id: UUID
    token_sha256: str
    body: str
    peer: str | None


class Spool:
    """A folder of callbacks that wait for their database."""

    def __init__(self, folder: Path, *, most_files: int = MOST_FILES) -> None:
        """Make the folder at the first use, readable by us alone."""
        self._folder = folder
        self._most_files = most_files

    def keep(self, kept: Kept) -> bool:
        """Keep a callback; True when it is safe on disk. False: the folder is full, or the disk refuses."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if sum(1 for _ in self._files()) >= self._most_files:
                log.error("spool_full", files=self._most_files)
                return False
            self._write(kept.model_dump_json().encode())
        except OSError as error:
            log.error("spool_refuses", error=str(error))
            return False
        return True

    def replay(self, store: Callable[[Kept], bool]) -> int:
        """Store what waits, and forget it after that; counts them. What finds its database away waits on."""
        done = 0
        for path in sorted(self._files()):
            try:
                kept = Kept.model_validate_json(path.read_bytes())
            except FileNotFoundError:
                continue  # another process was quicker
            except ValidationError:
                log.error("spool_unreadable", file=path.name)
                path.rename(path.with_suffix(".unreadable"))
                continue
            try:
                known = store(kept)
            except Unavailable:
                continue  # one vendor's database may be away, and another's be back
            path.unlink(missing_ok=True)
            done += 1
            log.info("callback_replayed", vendor_id=str(kept.vendor_id), known=known)
        return done

    def _files(self) -> Iterator[Path]:
        return self._folder.glob(f"*{_SUFFIX}")

    def _write(self, content: bytes) -> None:
        name = secrets.token_hex(16)
        part = self._folder / f"{name}.part"
        try:
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            part.rename(self._folder / f"{name}{_SUFFIX}")
        finally:
            part.unlink(missing_ok=True)
        folder = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(folder)  # the name too must survive a power cut
        finally:
            os.close(folder)
