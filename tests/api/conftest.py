from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from l2l_engine import Classifier
from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.videos import write_video


@pytest.fixture(scope="session")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete plan: tiny encoders, random skimmer."""
    path = tmp_path_factory.mktemp("plan") / "tiny.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(path, DOCUMENT, graphs=graphs, skim=random_skim())
    return path


@pytest.fixture(scope="session")
def classifier(plan_file: Path) -> Iterator[Classifier]:
    with Classifier(plan_file) as classifier:
        yield classifier


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
