"""Opening one file for FFmpeg, and nothing but that file."""

from __future__ import annotations

import errno
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

import av
import av.error
from av.container import InputContainer

from l2l_engine.errors import L2LError, MediaAccessError, MediaError
from l2l_engine.media.containers import CONTAINERS
from l2l_engine.media.contents import Content, GivenFile, open_given, open_path
from l2l_engine.media.limits import DEFAULT_LIMITS, Limits
from l2l_engine.media.refusal import CONVERT, LOOKED_AT, why
from l2l_engine.media.remote import open_url, reopened
from l2l_engine.media.source import MediaFile, Poll, display_name
from l2l_engine.media.stores import protocol_of

_BUFFER_BYTES = 64 * 1024
_TEXT = "the file object gives text: open the file in binary mode, 'rb'"
_PROBE_PIXELS = 4
"""How many times the largest frame allowed a decoder may allocate to find out a frame's size."""


class Reader:
    """The one file FFmpeg may read, behind the file interface PyAV expects.

    FFmpeg calls it from C, where a Python exception cannot pass: PyAV prints the second one to stderr and
    swallows Ctrl-C. So nothing is raised here; the first failure is kept, the file pretends to end, and
    ``check`` raises the failure once FFmpeg has returned. That is also how ``poll`` stops a long probe.
    """

    def __init__(self, file: Content, name: str) -> None:
        self._file = file
        self._name = name
        self._failure: BaseException | None = None
        self.poll: Poll | None = None

    def read(self, size: int) -> bytes:
        """At most ``size`` bytes; none at the end and after a failure."""
        if self._failure is not None:
            return b""
        try:
            if self.poll is not None:
                self.poll()
            data = self._binary(self._read(size))
            # PyAV copies whatever comes back into a buffer of ``size`` bytes without looking.
            if len(data) > size:
                raise TypeError(f"read({size}) of the file object gave {len(data)} bytes")
            return bytes(data)
        except BaseException as failure:
            self._failure = failure
            return b""

    def _read(self, size: int) -> bytes:
        try:
            return self._file.read(size, self.poll)
        except L2LError:
            raise
        except OSError as error:
            raise MediaAccessError(f"{self._name}: cannot be read: {error.strerror or error}") from error

    def _binary(self, data: object) -> bytes | bytearray | memoryview:
        """What ``read`` gave, if it is what a binary file gives."""
        if isinstance(data, (bytes, bytearray, memoryview)):
            return data
        if isinstance(data, str):
            raise TypeError(f"{self._name}: {_TEXT}")
        if data is None:  # a raw file that does not wait
            cause = "read() gave None, nothing for now: a file object that waits for its data is needed"
            raise MediaAccessError(f"{self._name}: {cause}")
        raise TypeError(f"{self._name}: read() of the file object gave {type(data).__name__}, not bytes")

    def seek(self, offset: int, whence: int = 0) -> int:
        """The new position, or a negative error number."""
        if self._failure is not None:
            return -errno.EIO
        try:
            at = self._file.seek(offset, whence)
            if not isinstance(at, int):
                raise TypeError(f"{self._name}: neither seek() nor tell() of the file object gave a position")
            return at
        except (ValueError, OSError):
            return -errno.EINVAL  # FFmpeg follows offsets found in the file, which may be nonsense
        except BaseException as failure:
            self._failure = failure
            return -errno.EIO

    def tell(self) -> int:
        """The position; PyAV takes only an object that has this for seekable."""
        return self._file.tell()

    def peek(self, offset: int, size: int) -> bytes:
        """Some of the file, while FFmpeg stands elsewhere in it and does not notice."""
        at = self.tell()
        self.seek(offset)
        data = self.read(size)
        self.seek(at)
        return data

    def looks_like(self) -> str | None:
        """What the file is, if it is a kind that is known and not read."""
        size = self.seek(0, io.SEEK_END)
        return why(self.peek(0, LOOKED_AT), size, self.peek)

    def begin(self, poll: Poll | None) -> bool:
        """Start another piece of work; False if something stopped the last one, which is over now."""
        stopped = self._failure is not None
        self._failure, self.poll = None, poll
        return not stopped

    @property
    def unseekable(self) -> str:
        """Why one cannot seek, where one cannot."""
        if isinstance(self._file, GivenFile) and getattr(self._file.file, "closed", False):
            return "the file object is closed"
        return "not seekable: hand over its content, as bytes, or a file that can seek"

    def check(self) -> None:
        """Raise what went wrong inside a callback, if anything did."""
        if self._failure is not None:
            raise self._failure

    def again(self) -> Reader | None:
        """Another reader of the same content; None for a file object that has but one position."""
        file = self._file.again()
        return None if file is None else Reader(file, self._name)

    @property
    def reopens(self) -> bool:
        """Whether ``again`` gives another reader."""
        return not isinstance(self._file, GivenFile) or type(self._file.file) is io.BytesIO

    @property
    def bytes_read(self) -> int:
        """Bytes read of the file so far, by all its readers; of a URL those that came over the network."""
        return self._file.bytes_read

    def verify(self, poll: Poll | None) -> None:
        """Raise a MediaError if the file is by now another one than it was at first."""
        self._file.verify(poll)

    def close(self) -> None:
        """Close the file if we opened it."""
        self._file.close()


def open_reader(
    file: MediaFile, limits: Limits = DEFAULT_LIMITS, poll: Poll | None = None
) -> tuple[Reader, str]:
    """Open ``file`` and say by which name to call it in messages.

    Args:
        file: What was handed in.
        limits: Says which protocols of URLs are allowed.
        poll: Called while a server is waited for; what it raises ends that.

    Raises:
        MediaNotFoundError: No such path, or nothing at that URL.
        MediaAccessError: The path is a directory or device, or may not be read; the URL is not allowed.
        MediaUnreachableError: The URL's server cannot be reached.
        MediaError: The file is empty.
        TypeError: ``file`` is none of the accepted types.
    """
    name = display_name(file)
    reader = Reader(_content(file, name, limits, poll), name)
    try:
        _rewind(reader, name)
    except BaseException:
        reader.close()
        raise
    return reader, name


def _content(file: MediaFile, name: str, limits: Limits, poll: Poll | None) -> Content:
    if isinstance(file, (bytes, bytearray, memoryview)):
        # The content of a view with gaps is not what lies in memory.
        gaps = isinstance(file, memoryview) and not file.contiguous
        return GivenFile(io.BytesIO(bytes(file) if gaps else file), owned=True)
    if isinstance(file, str) and protocol_of(file) is not None:
        return open_url(file, limits.protocols, poll)
    if isinstance(file, (str, os.PathLike)):
        return open_path(name)
    if isinstance(file, io.TextIOBase):
        raise TypeError(f"{name}: {_TEXT}")
    if hasattr(file, "read") and hasattr(file, "seek") and hasattr(file, "tell"):
        return reopened(file, name, poll) or open_given(file)
    kind = type(file).__name__
    raise TypeError(f"a path, a URL, bytes or a seekable binary file object is needed, not {kind}")


def _rewind(reader: Reader, name: str) -> None:
    """Go to the first byte, having seen that there is one."""
    end = reader.seek(0, io.SEEK_END)
    reader.check()
    if end < 0:
        raise MediaAccessError(f"{name}: {reader.unseekable}")
    if end == 0:
        raise MediaError(f"{name}: the file is empty (0 bytes)")
    reader.seek(0)


def open_container(reader: Reader, name: str, limits: Limits) -> InputContainer:
    """Let FFmpeg find out what the file is.

    Raises:
        MediaError: It is none of the supported media formats, or its header is damaged.
    """
    with translated(reader, name, "not a readable media file of a supported format", refused=True):
        return av.open(
            cast(BinaryIO, reader),
            mode="r",
            # Decoders that FFmpeg opens while probing must not allocate huge frames either; but they should
            # get far enough to say how large a frame is that is refused.
            options={"max_pixels": str(_PROBE_PIXELS * limits.pixels)},
            container_options={"format_whitelist": ",".join(CONTAINERS), "protocol_whitelist": "none"},
            metadata_errors="replace",
            buffer_size=_BUFFER_BYTES,
        )


def _refusal(reader: Reader, error: av.error.FFmpegError) -> str | None:
    """What a file is that FFmpeg does not open, as far as one can see, and what helps."""
    known = reader.looks_like()
    if known is None and error.errno == errno.EINVAL:  # FFmpeg knows it, but it is not on our list
        return f"a format that is not read here: {CONVERT}"
    return known


@contextmanager
def translated(reader: Reader, name: str, what: str, *, refused: bool = False) -> Iterator[None]:
    """Turn FFmpeg's errors into ``MediaError`` and let what stopped the reader through.

    Args:
        reader: Of the file.
        name: What messages call it.
        what: What cannot be done.
        refused: Whether the file itself is at fault: then the message says what it is, as far as one can see.
    """
    try:
        yield
    except L2LError:
        raise
    except MemoryError as error:
        reader.check()
        raise MediaError(f"{name}: {what}: asks for more memory than there is") from error
    except av.error.FFmpegError as error:
        reader.check()
        known = _refusal(reader, error) if refused else None
        cause = known or getattr(error, "strerror", None) or str(error)
        raise MediaError(f"{name}: {what}: {cause}") from error
    reader.check()
