"""Which engine a Classifier uses: the plan's only if this machine built it or the caller trusts it."""

from __future__ import annotations

import logging
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from subprocess import PIPE

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.backends import build_section, cache
from l2l_engine.backends.openvino import OpenVINOBuilder
from l2l_engine.errors import PlanError
from l2l_engine.plan import Plan, read_plan, write_compiled, write_plan
from tests.api.commands import inside
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import random_skim

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """A machine that has built nothing yet, and tells what it does."""
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "cache"))
    cache._warn_once.cache_clear()
    caplog.set_level(logging.INFO, "l2l_engine")


@pytest.fixture
def compiled(plan_file: Path, tmp_path: Path) -> Path:
    """The plan with OpenVINO engines that this machine built."""
    path = tmp_path / "compiled.plan"
    assert inside("compile", plan_file, "-o", path, "--backend", "openvino")[0] == 0
    return path


class Seen:
    """Loads plans and says where their engines came from, image before audio."""

    def __init__(self, caplog: pytest.LogCaptureFixture, video: Path, classifier: Classifier) -> None:
        self._caplog, self._video = caplog, video
        self._expected = classifier.predict(video).probabilities

    def origins(self, plan: Path, **options: object) -> list[str]:
        self._caplog.clear()
        with Classifier(plan, **options) as classifier:  # type: ignore[arg-type]
            found = classifier.predict(self._video).probabilities
        # Whatever it came from, an engine gives what the graph gives.
        np.testing.assert_array_equal(found, self._expected)
        # Both are loaded at once; a message names its graph.
        said = sorted((r.getMessage() for r in self._caplog.records), key=lambda text: "audio" in text)
        words = {"from the plan": "plan", "from the cache": "cache", "built from graph": "built"}
        return [
            origin
            for message in said
            for phrase, origin in words.items()
            if phrase in message and "not used" not in message and "is for" not in message
        ]


@pytest.fixture
def seen(caplog: pytest.LogCaptureFixture, video: Path, classifier: Classifier) -> Seen:
    return Seen(caplog, video, classifier)


def with_engine(path: Path, plan: Plan, name: str, engine: bytes, **changes: object) -> None:
    """A plan with one engine replaced, and all its hashes right."""
    settings = replace(plan.document.compiled[name], **changes)  # type: ignore[arg-type]
    write_compiled(path, plan, {name: (settings, engine)})


def test_what_this_machine_built_is_used(compiled: Path, seen: Seen) -> None:
    assert seen.origins(compiled) == ["plan", "plan"]


def test_without_compiled_sections_nothing_is_kept(plan_file: Path, seen: Seen, tmp_path: Path) -> None:
    assert seen.origins(plan_file) == []
    assert not (tmp_path / "cache").exists()


def test_what_another_machine_built_is_built_again_and_kept(
    compiled: Path, seen: Seen, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "other machine"))
    assert seen.origins(compiled) == ["built", "built"]
    assert seen.origins(compiled) == ["cache", "cache"]
    assert seen.origins(compiled, trust_compiled=True) == ["plan", "plan"]
    for entry in (tmp_path / "other machine").rglob("*.engine"):
        entry.write_bytes(entry.read_bytes()[:-1])
    assert seen.origins(compiled) == ["built", "built"]
    assert seen.origins(compiled) == ["cache", "cache"]


def test_a_changed_engine_is_not_what_was_built(compiled: Path, seen: Seen, tmp_path: Path) -> None:
    plan = read_plan(compiled)
    engine = plan.compiled["openvino.image"]
    data = compiled.read_bytes()
    assert data.count(engine) == 1
    at = data.index(engine) + len(engine) // 2
    compiled.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
    with pytest.raises(PlanError, match=r"compiled\.openvino\.image is not what the plan's table says"):
        Classifier(compiled)
    changed = tmp_path / "changed.plan"
    with_engine(changed, plan, "openvino.image", engine + b"\0")
    assert seen.origins(changed) == ["built", "plan"]


def test_an_engine_that_was_built_for_another_graph_is_not_used(
    compiled: Path, seen: Seen, tmp_path: Path
) -> None:
    """Built here, but not from this plan's graph: an old engine must not answer for new weights."""
    other = tmp_path / "other.plan"
    graphs = {"image.fp32": image_graph(seed=9), "audio.fp32": audio_graph()}
    plan = read_plan(compiled)
    write_plan(other, replace(plan.document, compiled={}), graphs=graphs, skim=random_skim())
    assert inside("compile", other, "-o", other, "--backend", "openvino")[0] == 0
    foreign = read_plan(other).compiled["openvino.image"]
    swapped = tmp_path / "swapped.plan"
    with_engine(swapped, plan, "openvino.image", foreign)
    assert seen.origins(swapped) == ["built", "plan"]


@pytest.mark.parametrize(
    ("engine", "changes", "message"),
    [
        (b"no engine", {}, "cannot be loaded"),
        (None, {"version": "2020.1"}, "is for fp32, version '2020.1'"),
        (None, {"device": "another\x1b[31m processor"}, r"'another\x1b[31m processor'"),
    ],
)
def test_a_trusted_engine_that_is_of_no_use_here_is_replaced(
    compiled: Path,
    seen: Seen,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    engine: bytes | None,
    changes: dict[str, str],
    message: str,
) -> None:
    plan, path = read_plan(compiled), tmp_path / "trusted.plan"
    with_engine(path, plan, "openvino.audio", engine or plan.compiled["openvino.audio"], **changes)
    assert seen.origins(path, trust_compiled=True) == ["plan", "built"]
    (warning,) = (record for record in caplog.records if record.levelno == logging.WARNING)
    assert message in warning.getMessage()


def test_a_trusted_engine_that_answers_in_another_shape_is_refused(plan_file: Path, tmp_path: Path) -> None:
    plan, path = read_plan(plan_file), tmp_path / "shape.plan"
    settings, _ = build_section(plan, "image.fp32", OpenVINOBuilder())
    engine = OpenVINOBuilder().build("image.fp32", image_graph(feature=8), dtype=np.uint8, batch=None)
    write_compiled(path, plan, {"openvino.image": (settings, engine)})
    with pytest.raises(PlanError, match="gives 8 features, the skimmer takes 12"):
        Classifier(path, trust_compiled=True)
    with Classifier(path) as classifier:
        assert classifier.device == "cpu"


def test_a_cache_that_cannot_be_written_costs_nothing_but_time(
    compiled: Path,
    seen: Seen,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "file" / "cache"))
    assert seen.origins(compiled) == ["built", "built"]
    assert [record.levelname for record in caplog.records].count("WARNING") == 1
    assert seen.origins(compiled) == ["built", "built"]
    assert "WARNING" not in [record.levelname for record in caplog.records]


LOADER = """
import logging, sys, time
from pathlib import Path
import l2l_engine
from l2l_engine.backends import openvino  # so that both start building at the same moment
logging.basicConfig(level=logging.INFO)
Path(sys.argv[2]).touch()
while not all(map(Path.exists, map(Path, sys.argv[3:]))):
    time.sleep(0.005)
with l2l_engine.Classifier(sys.argv[1]) as classifier:
    print(classifier.predict(sys.stdin.buffer.read()).to_dict()["probabilities"])
"""


def test_two_processes_that_build_at_once(
    compiled: Path, seen: Seen, video: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "shared"))
    flags = [str(tmp_path / f"ready{number}") for number in (1, 2)]
    loaders = []
    for own in flags:
        command = [sys.executable, "-c", LOADER, str(compiled), own, *flags]
        with video.open("rb") as file:
            loaders.append(
                subprocess.Popen(command, cwd=ROOT, stdin=file, stdout=PIPE, stderr=PIPE, text=True)
            )
    said = [loader.communicate(timeout=120) for loader in loaders]
    assert [loader.returncode for loader in loaders] == [0, 0]
    assert said[0][0] == said[1][0]
    assert "WARNING" not in said[0][1] + said[1][1]
    assert seen.origins(compiled) == ["cache", "cache"]
