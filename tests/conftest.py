"""Small media that several rooms' tests look at; tests that need a GPU."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpu_hooks import pytest_runtest_makereport, pytest_runtest_setup

__all__ = ["pytest_runtest_makereport", "pytest_runtest_setup"]


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test reads or writes the user's cache of engines."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("L2L_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """6 s; red and loud from 2 s to 4 s."""
    from tests.api.videos import write_video

    path = tmp_path_factory.mktemp("video") / "event.mp4"
    write_video(path)
    return path


@pytest.fixture(scope="session")
def silent_video() -> bytes:
    from tests.api.videos import write_video

    data = io.BytesIO()
    write_video(data, audio=False)
    return data.getvalue()


@pytest.fixture(scope="session")
def sound_file() -> bytes:
    from tests.api.videos import write_video

    data = io.BytesIO()
    write_video(data, video=False, container_format="wav")
    return data.getvalue()
