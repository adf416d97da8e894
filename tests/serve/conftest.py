"""A service over a real socket on the loopback interface."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from l2l_engine.serve import Settings
from l2l_engine.serve.server import make_server
from tests.api.conftest import classifier, plan_file

__all__ = ["classifier", "plan_file"]

Start = Callable[..., "Running"]


class Running:
    """A server that runs, in a thread of this process."""

    def __init__(self, server: uvicorn.Server) -> None:
        self.server = server
        self.port = server.servers[0].sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"

    @property
    def service(self) -> Any:
        return self.server.config.app.state.service  # type: ignore[union-attr]


@contextmanager
def running(server: uvicorn.Server) -> Iterator[Running]:
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        yield Running(server)
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture
def start(plan_file: Path) -> Iterator[Start]:
    """Starts services; each ends with the test."""
    with pytest.MonkeyPatch.context():
        contexts = []

        def start(*, app: dict[str, Any] | None = None, **settings: Any) -> Running:
            settings.setdefault("plans", {"tiny": plan_file})
            context = running(make_server(Settings(**settings), host="127.0.0.1", port=0, **(app or {})))
            contexts.append(context)
            return context.__enter__()

        yield start
        for context in contexts:
            context.__exit__(None, None, None)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory, video: Path) -> Path:
    """What ``file`` URIs may name: one video; and a link out of it."""
    folder = tmp_path_factory.mktemp("allowed")
    (folder / "in side").mkdir()
    (folder / "in side" / "a.mp4").write_bytes(video.read_bytes())
    (folder / "out.mp4").symlink_to(video)
    return folder


@pytest.fixture(scope="module")
def service(plan_file: Path, root: Path) -> Iterator[Running]:
    """Two plans by name, files under ``root`` allowed."""
    settings = Settings(
        plans={"tiny": plan_file, "other": plan_file},
        workers=2,
        max_bytes=4_000_000,
        allow=("file", "http", "https"),
        root=root,
    )
    resolve = {"inside.example": ["10.0.0.7"], "mixed.example": ["93.184.216.34", "127.0.0.1"]}

    def look_up(host: str, port: int) -> list[str]:
        return resolve.get(host) or [host]

    with running(make_server(settings, host="127.0.0.1", port=0, resolve=look_up)) as there:
        yield there
