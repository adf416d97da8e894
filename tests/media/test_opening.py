from __future__ import annotations

import contextlib
import ctypes
import gc
import io
import os
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import numpy as np
import pytest

from l2l_engine.errors import ClosedError, L2LError, MediaAccessError, MediaError, MediaNotFoundError
from l2l_engine.media import MediaSource, open_media

from .makers import media, read_index


def first_index(source: MediaSource) -> int:
    return read_index(source.frames(np.array([0.4]), short_side=128, crop=112).images[0])


def test_every_way_to_name_a_file(tmp_path: Path) -> None:
    content = media("mp4")
    path = tmp_path / "ein vidéo.bin"
    path.write_bytes(content)
    handle = io.BytesIO(content)
    handle.seek(100)  # it is read from its first byte, wherever it stands
    with path.open("rb") as opened:
        for file in (path, str(path), content, bytearray(content), memoryview(content), handle, opened):
            with open_media(file) as source:
                assert first_index(source) == 10
        assert not opened.closed
    assert not handle.closed


def test_errors_name_the_file(tmp_path: Path) -> None:
    missing, folder, empty, text = (
        tmp_path / name for name in ("gone.mp4", "folder.mp4", "empty.mp4", "t.mp4")
    )
    folder.mkdir()
    empty.touch()
    text.write_text("not a video at all\n" * 100)
    for path, kind, cause in [
        (missing, MediaNotFoundError, "no such file"),
        (folder, MediaAccessError, "not a regular file"),
        (empty, MediaError, "empty"),
        (text, MediaError, "not a readable media file"),
        (Path(os.devnull), MediaAccessError, "not a regular file"),
    ]:
        with pytest.raises(kind, match=cause) as caught:
            open_media(path)
        assert str(path) in str(caught.value)
    with pytest.raises(FileNotFoundError):
        open_media(missing)
    with pytest.raises(MediaAccessError):
        open_media("a\0b")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_forbidden(tmp_path: Path) -> None:
    path = tmp_path / "secret.mp4"
    path.write_bytes(media("mp4"))
    path.chmod(0)
    with pytest.raises(PermissionError):
        open_media(path)


def test_a_pipe_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.mp4")
    with pytest.raises(MediaAccessError, match="not a regular file"):
        open_media(tmp_path / "pipe.mp4")


@pytest.mark.parametrize("file", [None, 3, 1.5, ["a.mp4"]])
def test_other_types_are_refused(file: object) -> None:
    with pytest.raises(TypeError, match="path, a URL, bytes or a seekable"):
        open_media(file)  # type: ignore[arg-type]


class Hostile(io.BytesIO):
    """A file object that does not keep to its interface."""

    def __init__(self, content: bytes, how: str) -> None:
        super().__init__(content)
        self.how, self.reads = how, 0

    def read(self, size: int | None = -1) -> bytes:
        self.reads += 1
        if self.reads > 2:
            if self.how == "too much":
                return b"\0" * ((size or 0) + 4096)
            if self.how == "text":
                return "text"  # type: ignore[return-value]
            if self.how == "oserror":
                raise OSError(5, "Input/output error")
            if self.how == "interrupt":
                raise KeyboardInterrupt
        return super().read(size)

    def seekable(self) -> bool:
        return self.how != "unseekable"

    def seek(self, offset: int, whence: int = 0) -> int:
        if self.how == "unseekable":
            raise io.UnsupportedOperation("seek")
        return super().seek(offset, whence)


@pytest.mark.parametrize(
    ("how", "kind"),
    [
        ("too much", TypeError),
        ("text", TypeError),
        ("oserror", MediaAccessError),
        ("interrupt", KeyboardInterrupt),
        ("unseekable", MediaAccessError),
    ],
)
def test_a_hostile_file_object(
    how: str, kind: type[BaseException], capfd: pytest.CaptureFixture[str]
) -> None:
    file = Hostile(media("mp4", frames=200), how)
    with pytest.raises(kind), open_media(file) as source:
        source.frames(np.arange(0, 8.0, 0.1), short_side=128, crop=112)
    assert capfd.readouterr() == ("", "")


class OpenWatch:
    """Whether anybody, native code included, opened a file meanwhile (inotify, IN_OPEN)."""

    def __init__(self, path: Path) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._handle = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._handle, os.fsencode(path), 0x20) > 0
        self.opened = False

    def __enter__(self) -> OpenWatch:
        return self

    def __exit__(self, *error: object) -> None:
        with contextlib.suppress(BlockingIOError):
            self.opened = bool(os.read(self._handle, 4096))
        os.close(self._handle)


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nfile://{0}\n#EXT-X-ENDLIST\n",
    "hls-relative": "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{0}\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile '{0}'\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static">'
    "<Period><BaseURL>file://{0}</BaseURL></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\n",
    "imf": '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">{0}'
    "</CompositionPlaylist>",
    "m3u": "{0}\n",
    "url": "http://127.0.0.1:9/x.mp4\n",
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_no_other_file_is_opened(kind: str, tmp_path: Path) -> None:
    target = tmp_path / "target.ts"
    target.write_bytes(media("mpegts"))
    for name in ("list.mp4", "list.m3u8", "list.ffconcat", "list.mpd", "list.sdp"):
        path = tmp_path / name
        path.write_text(PLAYLISTS[kind].format(target))
        with OpenWatch(target) as watch, pytest.raises(MediaError, match="not a readable media file"):
            open_media(path)
        assert not watch.opened


def test_the_watch_sees_an_open(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.touch()
    with OpenWatch(target) as watch:
        target.read_bytes()
    assert watch.opened


def test_a_file_pattern_is_a_plain_name(tmp_path: Path) -> None:
    (tmp_path / "frame1.mp4").write_bytes(media("mp4"))
    for name in (
        "frame%d.mp4",
        "frame*.mp4",
        "concat:frame1.mp4",
        "file:frame1.mp4",
        "http://127.0.0.1:9/a.mp4",
    ):
        with pytest.raises(MediaNotFoundError):
            open_media(tmp_path / name)


def test_closing() -> None:
    source = open_media(media("mp4"))
    source.close()
    source.close()
    with pytest.raises(ClosedError):
        source.frames(np.zeros(1), short_side=128, crop=112)
    with pytest.raises(ClosedError):
        source.audio_windows(np.zeros(1), window=16, sample_rate=16000)
    assert source.duration == pytest.approx(3.0)


def test_nothing_is_left_open(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.mp4", tmp_path / "bad.mp4"
    good.write_bytes(media("mp4"))
    bad.write_bytes(media("mp4")[:3000])

    def use() -> None:
        for path in (good, bad):
            try:
                with open_media(path) as source:
                    first_index(source)
            except L2LError:
                pass

    use()
    gc.collect()
    handles, threads = len(list(Path("/proc/self/fd").iterdir())), threading.active_count()
    for _ in range(20):
        use()
    gc.collect()
    assert len(list(Path("/proc/self/fd").iterdir())) == handles
    assert threading.active_count() == threads


class StopError(Exception):
    pass


@pytest.mark.parametrize("after", [0, 1, 5, 30])
@pytest.mark.parametrize("container", ["mp4", "mpegts"])
def test_poll_stops_the_work(container: str, after: int) -> None:
    calls = 0

    def poll() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise StopError

    content = media(container, frames=100)
    with pytest.raises(StopError):
        open_media(content, poll=poll).frames(np.arange(0, 4, 0.1), short_side=128, crop=112, poll=poll)
    calls = 0
    with open_media(content) as source, pytest.raises(StopError):
        source.audio_windows(np.arange(0, 3, 0.1), window=16000, sample_rate=16000, poll=poll)


@pytest.mark.parametrize("error", [ValueError, TimeoutError, OSError, KeyboardInterrupt])
def test_what_poll_raises_comes_out_as_it_is(error: type[BaseException]) -> None:
    def poll() -> None:
        raise error("stop")

    with pytest.raises(error, match="stop") as caught:
        open_media(media("mp4"), poll=poll)
    assert not isinstance(caught.value, L2LError)
    with open_media(media("mp4")) as source, pytest.raises(error, match="stop") as caught:
        source.frames(np.zeros(1), short_side=128, crop=112, poll=poll)
    assert not isinstance(caught.value, L2LError)


@pytest.mark.parametrize("after", [0, 3])
def test_a_stopped_source_can_go_on(after: int) -> None:
    """A timeout of one call says nothing about the next, nor is its poll called again."""
    calls = 0

    def poll() -> None:
        nonlocal calls
        calls += 1
        if calls > after:
            raise StopError

    with open_media(media("mp4")) as source:
        with pytest.raises(StopError):
            source.audio_windows(np.arange(0, 3, 0.1), window=16000, sample_rate=16000, poll=poll)
        called = calls
        assert first_index(source) == 10
        assert source.audio_windows(np.zeros(1), window=16000, sample_rate=16000).valid.all()
        assert calls == called


def test_many_sources_in_many_threads() -> None:
    content = media("mp4", frames=150, video_options={"g": "50"})
    times = np.arange(0, 6, 0.31)

    def work() -> bytes:
        with open_media(content) as source:
            frames = source.frames(times, short_side=128, crop=112)
            sound = source.audio_windows(times, window=16000, sample_rate=16000)
        return frames.images.tobytes() + sound.samples.tobytes()

    expected = work()
    results: list[bytes] = []
    threads = [threading.Thread(target=lambda: results.extend(work() for _ in range(3))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 24
    assert all(result == expected for result in results)


def test_ffmpeg_is_silent() -> None:
    """Damage makes FFmpeg talk; none of it may reach the terminal of whoever uses the library."""
    content = bytearray(media("mp4", frames=50))
    content[5000:20000:97] = b"\xff" * len(content[5000:20000:97])
    script = textwrap.dedent("""
        import sys, numpy
        from l2l_engine.media import open_media
        with open_media(sys.stdin.buffer.read()) as source:
            frames = source.frames(numpy.arange(0, 2, 0.1), short_side=128, crop=112)
        assert not frames.valid.all()
    """)
    done = subprocess.run(
        [sys.executable, "-c", script], input=bytes(content), capture_output=True, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
