"""What a file's bytes are read from: a path, memory, or a file object of the caller's."""

from __future__ import annotations

import io
import os
import stat
import tempfile
from typing import BinaryIO, Protocol

from l2l_engine.errors import MediaAccessError, MediaNotFoundError
from l2l_engine.media.source import Poll


class Content(Protocol):
    """What a reader needs of a file; for one thread at a time."""

    def read(self, size: int, poll: Poll | None, /) -> bytes:
        """At most ``size`` bytes, at least one before the end; ``poll`` is called while it waits."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """The new position."""

    def tell(self) -> int:
        """The position."""

    def again(self) -> Content | None:
        """The same content from its first byte on, for another thread; None if there is but one position."""

    @property
    def bytes_read(self) -> int:
        """Bytes read so far by this and all that came of ``again``."""

    def verify(self, poll: Poll | None) -> None:
        """Raise a MediaError if it is by now another file than it was at first."""

    def close(self) -> None:
        """Release what is ours of it; safe to call twice."""


class Count:
    """Bytes read of one file by all its readers.

    Threads that add at once may lose one another's addition; it says how much was read, not what it costs.
    """

    def __init__(self) -> None:
        self.bytes = 0


class PathFile:
    """A regular file with a position of its own, so that several readers may share the open file."""

    def __init__(self, handle: int, count: Count | None = None) -> None:
        self._handle = handle
        self._count = count or Count()
        self._at = 0
        self._closed = False

    def read(self, size: int, poll: Poll | None = None, /) -> bytes:
        """At most ``size`` bytes from the position on; none at the end."""
        data = os.pread(self._handle, size, self._at)
        self._at += len(data)
        self._count.bytes += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to a position, which may lie past the end."""
        end = os.fstat(self._handle).st_size if whence == io.SEEK_END else 0
        self._at = moved(self._at, end, offset, whence)
        return self._at

    def tell(self) -> int:
        """The position."""
        return self._at

    def again(self) -> PathFile:
        """The same file, whatever its path names by now, from its first byte on."""
        return PathFile(os.dup(self._handle), self._count)

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, by all readers."""
        return self._count.bytes

    def verify(self, poll: Poll | None) -> None:
        """Nothing: the file that was opened stays open."""

    def close(self) -> None:
        """Release the file; safe to call twice."""
        if not self._closed:
            self._closed = True
            os.close(self._handle)


class GivenFile:
    """A file object; it is ours if we made it, and then it is closed.

    Args:
        file: Seekable and binary.
        owned: Whether it is ours.
    """

    def __init__(self, file: BinaryIO, *, owned: bool = False, count: Count | None = None) -> None:
        self.file, self._owned = file, owned
        self._count = count or Count()

    def read(self, size: int, poll: Poll | None = None, /) -> bytes:
        """Whatever the file object gives."""
        data = self.file.read(size)
        if isinstance(data, (bytes, bytearray, memoryview)):
            self._count.bytes += len(data)
        return data

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Whatever the file object gives, or where it says that it is."""
        at: int | None = self.file.seek(offset, whence)
        return self.file.tell() if at is None else at  # as of mmap before Python 3.13

    def tell(self) -> int:
        """The position."""
        return self.file.tell()

    def again(self) -> GivenFile | None:
        """Another view of the same memory; None of any other file object."""
        if type(self.file) is not io.BytesIO:
            return None
        return GivenFile(io.BytesIO(self.file.getvalue()), owned=True, count=self._count)

    @property
    def bytes_read(self) -> int:
        """Bytes read so far, by all readers."""
        return self._count.bytes

    def verify(self, poll: Poll | None) -> None:
        """Nothing: who handed it over must leave it alone."""

    def close(self) -> None:
        """Close it if it is ours."""
        if self._owned:
            self.file.close()


def moved(at: int, end: int, offset: int, whence: int) -> int:
    """The position that ``seek`` leads to; ``end`` counts for ``SEEK_END`` alone.

    Raises:
        ValueError: It would be negative.
    """
    to = {io.SEEK_SET: 0, io.SEEK_CUR: at, io.SEEK_END: end}[whence] + offset
    if to < 0:
        raise ValueError("negative position")
    return to


def open_path(name: str) -> PathFile:
    """Open a path as a plain file.

    Raises:
        MediaNotFoundError: No such path.
        MediaAccessError: It is a directory or device, or may not be read.
    """
    try:
        # Not blocking: opening a FIFO would otherwise wait for a writer before we can see that it is one.
        handle = os.open(name, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except FileNotFoundError as error:
        raise MediaNotFoundError(f"{name}: no such file") from error
    except (OSError, ValueError) as error:
        cause = getattr(error, "strerror", None) or str(error)
        raise MediaAccessError(f"{name}: cannot be read: {cause}") from error
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise MediaAccessError(f"{name}: not a regular file")
    return PathFile(handle)


def open_given(file: BinaryIO) -> PathFile | GivenFile:
    """A file object of the caller's: by its descriptor, so for several readers, where it is a plain file."""
    plain = getattr(file, "file", file) if isinstance(file, tempfile._TemporaryFileWrapper) else file
    raw = plain if isinstance(plain, io.FileIO) else getattr(plain, "raw", None)
    buffered = type(plain) in {io.BufferedReader, io.BufferedRandom, io.FileIO}
    if not buffered or type(raw) is not io.FileIO or plain.closed or not plain.readable():
        return GivenFile(file)
    if plain.writable():
        plain.flush()  # what was written and lies in its buffer belongs to the file too
    if not stat.S_ISREG(os.fstat(raw.fileno()).st_mode):
        return GivenFile(file)
    return PathFile(os.dup(raw.fileno()))
