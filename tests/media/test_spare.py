"""A file opened by two threads at once: the second opening is used, or it is as if it had not been."""

from __future__ import annotations

import gzip
import io
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from l2l_engine.errors import MediaError
from l2l_engine.media import demux, open_media, spare
from l2l_engine.media.demux import Demuxer
from l2l_engine.media.source import Poll
from tests.media.test_parts import content

Task = Callable[[], None]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "video.mp4"
    file.write_bytes(content("mp4"))
    return file


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the threads that opened a container."""
    names: list[str] = []
    real = demux.open_container

    def noting(*args: object) -> object:
        names.append(threading.current_thread().name)
        return real(*args)  # type: ignore[arg-type]

    monkeypatch.setattr(demux, "open_container", noting)
    return names


def in_thread(task: Task) -> None:
    thread = threading.Thread(target=task, name="beside")
    thread.start()
    thread.join()


def handles() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_another_is_the_one_opened_beside(path: Path, opened: list[str]) -> None:
    with open_media(path, beside=in_thread) as source:
        assert sorted(opened) == ["MainThread", "beside"]
        other, third = source.another(), source.another()
        assert opened[2:] == ["MainThread"]  # the third; nothing was opened for the second
        assert other is not None
        assert third is not None
        knots = np.arange(0, source.duration, 0.7)
        pictures = [each.frames(knots, short_side=128, crop=112) for each in (source, other, third)]
        for each in (other, third):
            each.close()
    for some in pictures[1:]:
        np.testing.assert_array_equal(some.images, pictures[0].images)


@pytest.mark.parametrize("when", ["at once", "after", "never"])
def test_no_file_stays_open(path: Path, when: str) -> None:
    before, waiting = handles(), list[Task]()
    source = open_media(path, beside=in_thread if when == "at once" else waiting.append)
    source.close()
    for task in waiting * (when == "after"):
        task()
    assert handles() == before


def test_it_may_be_closed_while_it_opens(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before, go, inside = handles(), threading.Event(), threading.Event()
    threads: list[threading.Thread] = []

    def slow(*args: object) -> Demuxer:
        inside.set()
        assert go.wait(10)
        return demux.open_demuxer(*args)  # type: ignore[arg-type]

    def start(task: Task) -> None:
        threads.append(threading.Thread(target=task))
        threads[0].start()
        assert inside.wait(10)

    monkeypatch.setattr(spare, "open_demuxer", slow)
    source = open_media(path, beside=start)
    other = source.another()
    assert other is not None  # nobody waits for the spare
    other.close()
    source.close()
    go.set()
    threads[0].join()
    assert handles() == before


@pytest.mark.parametrize("place", [in_thread, lambda _: None])
def test_what_cannot_be_opened_is_one_error(place: Callable[[Task], None], tmp_path: Path) -> None:
    damaged = tmp_path / "damaged.mp4"
    damaged.write_bytes(b"no video at all" * 100)
    before = handles()
    with pytest.raises(MediaError, match=r"damaged\.mp4: not a readable media file"):
        open_media(damaged, beside=place)
    assert handles() == before


def test_what_stops_the_work_is_not_swallowed(path: Path) -> None:
    class EnoughError(Exception):
        pass

    def beside(task: Task) -> None:
        with pytest.raises(EnoughError):
            task()

    calls = 0

    def poll() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:  # of the spare, which is opened first here
            raise EnoughError

    before, stop = handles(), poll
    assert_poll: Poll = stop
    open_media(path, poll=assert_poll, beside=beside).close()
    assert calls > 1
    assert handles() == before


def test_a_file_object_with_one_position_has_no_spare(path: Path, opened: list[str]) -> None:
    with gzip.GzipFile(fileobj=io.BytesIO(gzip.compress(path.read_bytes()))) as file:
        source = open_media(file, beside=in_thread)  # type: ignore[arg-type]
    with source:
        assert source.another() is None
        assert opened == ["MainThread"]
