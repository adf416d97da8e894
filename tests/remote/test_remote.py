"""Files from where they lie: the answers of local files, few bytes, and typed errors in time."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec.config
import numpy as np
import pytest

from benchmarks.media.server import Handler, Served, serving
from l2l_engine import (
    Classifier,
    L2LError,
    Limits,
    MediaAccessError,
    MediaError,
    MediaNotFoundError,
    MediaUnreachableError,
    PredictionTimeoutError,
)
from l2l_engine.media import open_media, remote
from tests.api.answers import same_answer
from tests.api.videos import write_video
from tests.shared import shared_files


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as server:
        yield server


@pytest.fixture(scope="module")
def long_video(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """More than is read with one request: 3 minutes, a key frame every 5 s."""
    path = tmp_path_factory.mktemp("long") / "long.mp4"
    write_video(path, seconds=180, size=(96, 64), event=(100.0, 110.0), gop=50)
    content = path.read_bytes()
    assert len(content) > 40 * remote.BLOCK
    return content


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A bucket on a real server of S3 on the loopback."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = (tmp_path_factory.mktemp("s3") / "log").open("wb")
    command = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    server = subprocess.Popen(command, stdout=log, stderr=log)
    settings = {"AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1"}
    with pytest.MonkeyPatch.context() as patch:
        for name, value in settings.items():
            patch.setenv(name, value)
        patch.setitem(fsspec.config.conf, "s3", {"endpoint_url": f"http://127.0.0.1:{port}"})
        try:
            _answers(port, server)
            system, _ = remote.find("s3://videos/")
            system.mkdir("videos")
            yield "s3://videos"
        finally:
            server.kill()
            server.wait()
            log.close()


def _answers(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server does; it says so itself, so nothing is lost to luck."""
    deadline = time.monotonic() + 120
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            connection.request("GET", "/moto-api/data.json")
            if connection.getresponse().status == 200:
                connection.close()
                return
        time.sleep(0.05)
    pytest.fail("the server of S3 does not come up")


def outcome(classifier: Classifier, file: Any, **options: Any) -> Any:
    try:
        return classifier.predict(file, **options)
    except L2LError as error:
        return type(error)


def equal(one: Any, other: Any) -> bool:
    return one == other if isinstance(one, type) else same_answer(one, other)


def test_answers_are_those_of_local_files(
    classifier: Classifier, served: Served, long_video: bytes, video: Path, sound_file: bytes
) -> None:
    for content in (
        long_video,
        video.read_bytes(),
        sound_file,
        video.read_bytes()[:9000],
        b"text, no video\n",
    ):
        url = served.put("file", content)
        for sampling in ("auto", "keyframes", "listen"):
            local, there = (outcome(classifier, file, sampling=sampling) for file in (content, url))
            assert equal(local, there)


@pytest.mark.parametrize("where", ["http", "s3"])
def test_answers_about_real_media(classifier: Classifier, where: str, request: pytest.FixtureRequest) -> None:
    files = shared_files("media")
    if not files:
        pytest.skip("no real media: L2L_SHARED_DATA names no folder with them")
    put = _put_s3(request) if where == "s3" else request.getfixturevalue("served").put
    for file in files:
        url = put(file.name, file.read_bytes())
        assert equal(outcome(classifier, file), outcome(classifier, url)), file.name


def _put_s3(request: pytest.FixtureRequest) -> Any:
    bucket = request.getfixturevalue("s3")

    def put(name: str, content: bytes) -> str:
        system, path = remote.find(f"{bucket}/{name}")
        system.pipe_file(path, content)
        return f"{bucket}/{name}"

    return put


def test_s3(classifier: Classifier, request: pytest.FixtureRequest, long_video: bytes) -> None:
    put = _put_s3(request)
    url = put("a/long.mp4", long_video)
    answer = classifier.predict(url)
    assert same_answer(answer, classifier.predict(long_video))
    assert answer.media is not None
    assert 0 < answer.media.bytes_read <= len(long_video)
    with pytest.raises(MediaNotFoundError, match="no such file"):
        classifier.predict(put("a/x", b"")[:-1] + "gone.mp4")
    with pytest.raises(MediaError, match="empty"):
        classifier.predict(put("a/empty.mp4", b""))
    from l2l_engine.media.folders import expand

    assert list(expand(["s3://videos/a/"], recursive=True, unreadable=print)) == [
        "s3://videos/a/empty.mp4",
        url,
    ]


def test_few_bytes_for_few_frames(classifier: Classifier, served: Served, long_video: bytes) -> None:
    url = served.put("long.mp4", long_video)
    answer = classifier.predict(url, max_knots=4)
    assert answer.media is not None
    assert answer.media.bytes_read == served.bytes < len(long_video) / 2
    assert served.gets < 40


def test_readers_share_blocks(served: Served, long_video: bytes) -> None:
    """Eight readers of all of it fetch it about once."""
    with open_media(served.put("long.mp4", long_video)) as source:
        times = np.arange(0.0, 175.0, 2.5)
        first = source.frames(times, short_side=128, crop=112).images
        before = served.bytes
        found: list[Any] = []

        def read() -> None:
            other = source.another()
            assert other is not None
            found.append(other.frames(times, short_side=128, crop=112).images)
            other.close()

        threads = [threading.Thread(target=read) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 8
        assert all(np.array_equal(first, images) for images in found)
        assert served.bytes == before, "all of it was here already"
        assert source.bytes_read == served.bytes


@pytest.mark.parametrize("aside", [0, 2**30])
def test_blocks_are_put_aside_or_fetched_again(
    served: Served, long_video: bytes, monkeypatch: pytest.MonkeyPatch, aside: int
) -> None:
    monkeypatch.setattr(remote, "_KEPT_BLOCKS", 2)
    monkeypatch.setattr(remote, "_SPILLED_BYTES", aside)
    file = remote.open_url(served.put("long.mp4", long_video), ("http",), None)
    for _ in range(2):
        file.seek(0)
        content = b"".join(iter(lambda: file.read(50_000), b""))
        assert content == long_video
    if aside:
        assert served.bytes == file.bytes_read == len(long_video)
    else:
        assert served.bytes > 1.5 * len(long_video)


def test_protocols_are_a_list(classifier: Classifier, plan_file: Path, served: Served, video: Path) -> None:
    url = served.put("a.mp4", video.read_bytes())
    with Classifier(plan_file, limits=Limits(protocols=())) as closed, pytest.raises(MediaAccessError):
        closed.predict(url)
    assert served.heads == served.gets == 0
    for name in (
        f"file://{video}",
        f"simplecache::{url}",
        f"memory://{video}",
        "nonsense://x",
        f"local://{video}",
    ):
        with pytest.raises(MediaError):
            classifier.predict(name)
    assert served.heads == served.gets == 0
    with pytest.raises(MediaNotFoundError):  # one object of this odd name, not a chain of two protocols
        classifier.predict(f"{served.url}/b::file://{video}")
    with pytest.raises(MediaNotFoundError):  # a path is never a URL
        classifier.predict(Path(url))


def test_a_playlist_opens_nothing(classifier: Classifier, served: Served, video: Path) -> None:
    target = served.put("target.ts", video.read_bytes())
    for text in (
        f"#EXTM3U\n#EXTINF:5,\n{target}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{target}'\n",
    ):
        asked: list[str] = []

        def watch(handler: Handler, number: int, asked: list[str] = asked) -> bool:
            asked.append(handler.path)
            return False

        served.fault = watch
        with pytest.raises(MediaError, match="list of other files"):
            classifier.predict(served.put("list.mp4", text.encode()))
        assert set(asked) == {"/list.mp4"}


def _stall(handler: Handler, number: int) -> bool:
    handler.served.over.wait(60)
    return True


def _cut(handler: Handler, number: int) -> bool:
    handler.send_response(206)
    handler.send_header("Content-Length", "100000")
    handler.end_headers()
    handler.wfile.write(b"\0" * 1000)
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True
    return True


def _status(code: int) -> Any:
    def answer(handler: Handler, number: int) -> bool:
        handler.status(code)
        return True

    return answer


FAULTS = {
    "stalls": (_stall, PredictionTimeoutError),
    "cuts": (_cut, MediaUnreachableError),
    "416": (_status(416), MediaUnreachableError),
    "403": (_status(403), MediaAccessError),
    "503": (_status(503), MediaUnreachableError),
}


@pytest.mark.parametrize("when", [1, 8])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_server_that_fails(
    classifier: Classifier, served: Served, long_video: bytes, fault: str, when: int
) -> None:
    """From the first request on, or in the middle: a typed error; and the next call is well again."""
    answer, kind = FAULTS[fault]
    url = served.put("long.mp4", long_video)
    served.fault = lambda handler, number: number >= when and answer(handler, number)
    with pytest.raises(kind, match=r"long\.mp4"):
        classifier.predict(url, timeout_s=3.0 if kind is PredictionTimeoutError else 120.0)
    served.fault = lambda handler, number: False
    assert same_answer(classifier.predict(url), classifier.predict(long_video))


def test_a_server_without_ranges(
    classifier: Classifier, served: Served, long_video: bytes, video: Path
) -> None:
    served.ranges = False
    small = served.put("small.mp4", video.read_bytes())
    assert same_answer(classifier.predict(small), classifier.predict(video))
    with pytest.raises(MediaError, match="range"):
        classifier.predict(served.put("long.mp4", long_video))


@pytest.mark.parametrize("sizes", ["same", "shorter", "longer"])
def test_another_file_in_the_middle(
    classifier: Classifier, served: Served, long_video: bytes, sizes: str
) -> None:
    other = {
        "same": long_video[: len(long_video) // 2] + bytes(len(long_video) - len(long_video) // 2),
        "shorter": long_video[: len(long_video) // 2],
        "longer": long_video + b"\0" * 5000,
    }[sizes]
    url = served.put("long.mp4", long_video)

    def swap(handler: Handler, number: int) -> bool:
        if number == 6:
            served.put("long.mp4", other)
        return False

    served.fault = swap
    with pytest.raises(MediaError, match=r"replaced while it was read|cut short"):
        classifier.predict(url)


def test_nobody_there(classifier: Classifier) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(MediaUnreachableError, match="cannot be reached"):
        classifier.predict(f"http://127.0.0.1:{port}/a.mp4")


def test_without_the_extra(video: Path, plan_file: Path) -> None:
    """Nothing but a URL asks for fsspec, and without it the error says what to install."""
    code = (
        "import sys, json; sys.modules['fsspec'] = None\n"
        "from l2l_engine import Classifier, MediaAccessError\n"
        "with Classifier(sys.argv[1]) as c:\n"
        "    c.predict(sys.argv[2])\n"
        "    try: c.predict('https://example.invalid/a.mp4')\n"
        "    except MediaAccessError as error: print(json.dumps(str(error)))\n"
    )
    command = [sys.executable, "-c", code, str(plan_file), str(video)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=dict(os.environ))
    assert "pip install 'l2l_engine[remote]'" in json.loads(done.stdout)


def test_a_file_object_of_fsspec_has_several_readers(served: Served, long_video: bytes) -> None:
    url = served.put("long.mp4", long_video)
    system, path = remote.find(url)
    with system.open(path, "rb") as file, open_media(file) as source:
        assert source.reopens
        assert source.frames(np.array([50.0]), short_side=128, crop=112).valid.all()
        assert source.bytes_read < len(long_video)
