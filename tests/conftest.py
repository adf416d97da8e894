"""Small media that several rooms' tests look at; tests that need a GPU."""

from __future__ import annotations

import io
import os
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest

from l2l_engine.cuda import why_not
from tests.api.videos import write_video


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache of engines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2L_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s; red and loud from 2 s to 4 s."""
    path = tmp_path_factory.mktemp("video") / "event.mp4"
    write_video(path)
    return path


@pytest.fixture(scope="session")
def silent_video() -> bytes:
    data = io.BytesIO()
    write_video(data, audio=False)
    return data.getvalue()


@pytest.fixture(scope="session")
def sound_file() -> bytes:
    data = io.BytesIO()
    write_video(data, video=False, container_format="wav")
    return data.getvalue()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """GPU tests are skipped where there is none."""
    missing = why_not() if item.get_closest_marker("gpu") else None
    if missing is not None:
        pytest.skip(missing)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With L2L_REQUIRE_GPU=1, a GPU test that is skipped for any reason has failed."""
    report = yield
    if report.skipped and item.get_closest_marker("gpu") and os.environ.get("L2L_REQUIRE_GPU") == "1":
        report.outcome = "failed"
        report.longrepr = f"skipped, but L2L_REQUIRE_GPU=1: {report.longrepr}"
    return report
