"""What people hand over as a file: it works, or the error says what to do instead."""

from __future__ import annotations

import contextlib
import gzip
import io
import mmap
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l2l_engine.errors import MediaAccessError
from l2l_engine.media import open_media

from .makers import media, read_index


class Mapped(io.BytesIO):
    """``seek`` gives nothing, as that of mmap before Python 3.13."""

    def seek(self, offset: int, whence: int = 0) -> int:
        super().seek(offset, whence)
        return None  # type: ignore[return-value]


class Lost(Mapped):
    def tell(self) -> int:
        return None  # type: ignore[return-value]


class Saying(io.BytesIO):
    """A file object that gives something else than bytes."""

    def __init__(self, content: bytes, answer: object) -> None:
        super().__init__(content)
        self._answer = answer

    def read(self, size: int | None = -1) -> bytes:
        return self._answer  # type: ignore[return-value]


class Stream(io.RawIOBase):
    """A socket, as far as one can tell."""

    def readable(self) -> bool:
        return True


def _mapped(content: bytes, folder: Path) -> object:
    path = folder / "a.mp4"
    path.write_bytes(content)
    with path.open("rb") as file:
        return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)


def _zipped(content: bytes, folder: Path) -> object:
    with zipfile.ZipFile(folder / "a.zip", "w") as archive:
        archive.writestr("a.mp4", content)
    return zipfile.ZipFile(folder / "a.zip").open("a.mp4")


def _spooled(content: bytes, folder: Path) -> object:
    file = tempfile.SpooledTemporaryFile()  # noqa: SIM115
    file.write(content)
    return file


def _strided(content: bytes, folder: Path) -> object:
    wide = np.zeros((len(content), 3), np.uint8)
    wide[:, 1] = np.frombuffer(content, np.uint8)
    return memoryview(wide[:, 1])


WORKS: dict[str, Callable[[bytes, Path], object]] = {
    "mmap": _mapped,
    "seek-gives-none": lambda content, folder: Mapped(content),
    "zip": _zipped,
    "gzip": lambda content, folder: gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(content))),
    "spooled": _spooled,
    "strided": _strided,
    "reversed": lambda content, folder: memoryview(content[::-1])[::-1],
    "two-dimensional": lambda content, folder: memoryview(
        np.frombuffer(content[: len(content) // 4 * 4], np.uint8).reshape(-1, 4)
    ),
    "words": lambda content, folder: memoryview(content[: len(content) // 4 * 4]).cast("I"),
}


@pytest.mark.parametrize("kind", WORKS)
def test_it_works(kind: str, tmp_path: Path) -> None:
    content = media("mp4", frames=20, audio=None, container_options={"movflags": "faststart"})
    file = WORKS[kind](content, tmp_path)
    with contextlib.closing(file) if hasattr(file, "close") else contextlib.nullcontext():
        source = open_media(file)  # type: ignore[arg-type]
        assert read_index(source.frames(np.array([0.4]), short_side=128, crop=112).images[0]) == 10
        source.close()


def _closed(folder: Path) -> object:
    file = io.BytesIO(b"x")
    file.close()
    return file


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda folder: io.StringIO("text"), TypeError, "binary mode, 'rb'"),
        (lambda folder: io.TextIOWrapper(io.BytesIO(b"x")), TypeError, "binary mode, 'rb'"),
        (lambda folder: Saying(b"x" * 9, "text"), TypeError, "binary mode, 'rb'"),
        (lambda folder: Saying(b"x" * 9, None), MediaAccessError, "waits for its data"),
        (lambda folder: Saying(b"x" * 9, 7), TypeError, "gave int, not bytes"),
        (lambda folder: Lost(b"x" * 9), TypeError, "neither seek.. nor tell"),
        (lambda folder: Stream(), MediaAccessError, "not seekable: hand over its content"),
        (_closed, MediaAccessError, "closed"),
    ],
)
def test_it_says_what_to_do(
    make: Callable[[Path], object], kind: type[Exception], words: str, tmp_path: Path
) -> None:
    with pytest.raises(kind, match=words):
        open_media(make(tmp_path))  # type: ignore[arg-type]
