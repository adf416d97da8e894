"""Engines that this machine built, and the record of having built them, in a folder of the user's.

Engines are as good as executable code, so the folder must belong to the user (or to root) alone. Files are
complete or not there: each is written beside its place and renamed into it, by as many processes as like to.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path

from l2l_engine.files import write_whole
from l2l_engine.plan import CompiledSettings

MAX_BYTES = 4 << 30
"""Size of all engines above which those unused for longest are deleted."""

_LONGEST_LINE = 1 << 16
_ABANDONED_S = 24 * 3600
_log = logging.getLogger("l2l_engine")


@dataclass(frozen=True, slots=True)
class CacheState:
    """What is in the cache; ``problem`` says why it cannot be used, None if it can."""

    folder: str
    engines: int = 0
    size: int = 0
    problem: str | None = None


class EngineCache:
    """The cache of one user on one machine. Nothing it does fails: at worst it keeps nothing.

    Args:
        folder: Where; by default $L2L_CACHE, else l2l_engine in $XDG_CACHE_HOME, else in ~/.cache.
    """

    def __init__(self, folder: str | os.PathLike[str] | None = None) -> None:
        self._folder = _default_folder() if folder is None else Path(folder)

    def get(self, backend: str, settings: CompiledSettings) -> bytes | None:
        """An engine that was put here; None if there is none, or if it is damaged."""
        path = self._engine_path(backend, settings)
        if self._problem() is not None:
            return None
        try:
            with path.open("rb") as file:
                head = [file.readline(_LONGEST_LINE), file.readline(_LONGEST_LINE)]
                engine = file.read()
        except OSError:
            return None
        if head != _head(backend, settings, _sha256(engine)):
            _log.warning("%s is damaged and is built again", path)
            return None
        with suppress(OSError):
            os.utime(path)  # so that it counts as used
        return engine

    def put(self, backend: str, settings: CompiledSettings, engine: bytes) -> None:
        """Keep an engine that was built just now, and record it."""
        digest = _sha256(engine)
        path = self._engine_path(backend, settings)
        if self._write(path, [*_head(backend, settings, digest), engine]):
            self.record(backend, settings, digest)
            _prune(path.parent, keep=path)

    def record(self, backend: str, settings: CompiledSettings, digest: str) -> None:
        """Remember that this machine built the engine of this SHA-256, without keeping it."""
        self._write(self._folder / "built" / digest, [_identity(backend, settings)])

    def has_built(self, backend: str, settings: CompiledSettings, digest: str) -> bool:
        """Whether this machine built exactly the engine of this SHA-256, for these settings."""
        if self._problem() is not None:
            return False
        try:
            return (self._folder / "built" / digest).read_bytes() == _identity(backend, settings)
        except OSError:
            return False

    def state(self) -> CacheState:
        """What is in it, for people."""
        sizes = [status.st_size for _, status in _files(self._folder / "engines", ".engine")]
        problem = self._problem()
        there = next(path for path in (self._folder, *self._folder.absolute().parents) if path.exists())
        if problem is None and not os.access(there, os.W_OK):
            problem = f"{there} cannot be written to"
        return CacheState(str(self._folder), len(sizes), sum(sizes), problem)

    def _engine_path(self, backend: str, settings: CompiledSettings) -> Path:
        return self._folder / "engines" / f"{_sha256(_identity(backend, settings))}.engine"

    def _problem(self) -> str | None:
        """Why nothing in the folder can be believed; None if it can, or if there is none yet."""
        try:
            status = self._folder.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            return str(error)
        if not stat.S_ISDIR(status.st_mode):
            return "it is no folder"
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            return "it belongs to another user, or others may write to it"
        return None

    def _write(self, path: Path, content: list[bytes]) -> bool:
        try:
            for folder in (self._folder, path.parent):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            problem = self._problem()
            if problem is None:
                # Not synced: after a power failure the file may be damaged, which its hash shows.
                write_whole(path, lambda file: file.writelines(content), mode=0o600, sync=False)
        except OSError as error:
            problem = str(error)
        if problem is not None:
            _warn_once(f"engines are not kept in {self._folder}: {problem}; set L2L_CACHE to another folder")
        return problem is None


def _default_folder() -> Path:
    named = os.environ.get("L2L_CACHE")
    if named:
        return Path(named)
    caches = Path(os.environ.get("XDG_CACHE_HOME", ""))
    if caches.is_absolute():  # the XDG specification has relative paths ignored
        return caches / "l2l_engine"
    try:
        return Path("~/.cache/l2l_engine").expanduser()
    except RuntimeError:  # a user without a home, as in some containers
        return Path(tempfile.gettempdir()) / f"l2l_engine-{os.geteuid()}"


def _identity(backend: str, settings: CompiledSettings) -> bytes:
    return json.dumps({"backend": backend, **asdict(settings)}, sort_keys=True).encode()


def _head(backend: str, settings: CompiledSettings, digest: str) -> list[bytes]:
    """What stands before an engine in its file: its hash, and what it is."""
    return [digest.encode() + b"\n", _identity(backend, settings) + b"\n"]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _prune(folder: Path, keep: Path) -> None:
    """Delete what was unused for longest, and what killed processes left behind."""
    with suppress(OSError):
        for path, status in _files(folder, ".tmp"):
            if time.time() - status.st_mtime > _ABANDONED_S:
                path.unlink(missing_ok=True)
        engines = sorted(_files(folder, ".engine"), key=lambda entry: entry[1].st_mtime)
        total = sum(status.st_size for _, status in engines)
        for path, status in engines:
            if total > MAX_BYTES and path != keep:
                path.unlink(missing_ok=True)
                total -= status.st_size


def _files(folder: Path, suffix: str) -> Iterator[tuple[Path, os.stat_result]]:
    with suppress(OSError):
        for path in folder.iterdir():
            if path.suffix == suffix:
                with suppress(OSError):  # another process may be deleting it
                    yield path, path.stat()


@cache
def _warn_once(message: str) -> None:
    _log.warning("%s", message)
