from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from l2l_engine import Classifier
from l2l_engine.plan import write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim


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
