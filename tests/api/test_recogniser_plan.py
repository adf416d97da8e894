"""The recogniser in a plan: its settings, its graph, its engine, and what people are shown of it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.errors import PlanError
from l2l_engine.plan import PlanDocument, RecogniserSettings, SkimSettings, read_plan, write_plan
from tests.api.commands import inside
from tests.api.graphs import audio_graph, image_graph, recogniser_graph
from tests.api.plans import DOCUMENT, header_size, random_skim, refused, rewrite, write_small_plan

CLIP = RecogniserSettings(kind="clip", frames=16, seconds=16 / 30, temperature=2.0)
WITH = dataclasses.replace(DOCUMENT, recogniser=CLIP)
GRAPHS = {"image.fp32": b"i", "audio.fp32": b"a", "recogniser.fp32": b"r"}


def write_whole(path: Path, graph: bytes, settings: RecogniserSettings, **more: bytes) -> None:
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph(), "recogniser.fp32": graph}
    document = dataclasses.replace(DOCUMENT, recogniser=settings)
    write_plan(path, document, graphs=graphs | more, skim=random_skim())


def test_round_trip(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    write_plan(path, WITH, graphs=GRAPHS, skim=random_skim())
    plan = read_plan(path)
    assert plan.document == WITH
    assert plan.document.parts == ("image", "audio", "recogniser")
    assert plan.graphs["recogniser.fp32"] == b"r"
    assert CLIP.input_shape == (16, 112, 112, 3)
    assert RecogniserSettings(crop=96).input_shape == (96, 96, 3)


def test_a_plan_without_one_is_what_it_was(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    write_small_plan(path)
    data = path.read_bytes()
    document = json.loads(json.loads(data[8 : header_size(data)])["__metadata__"]["l2l"])
    assert document["recogniser"] is None
    assert read_plan(path).document.parts == ("image", "audio")


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (("recogniser",), "frame", "recogniser is missing or no object"),
        (("recogniser",), None, "knows no recogniser"),
        (("recogniser",), {"kind": "frame"}, "missing or unknown fields"),
        (("recogniser", "surprise"), 1, "surprise"),
        (("recogniser", "kind"), "sound", "recogniser.kind"),
        (("recogniser", "kind"), ["clip"], "recogniser.kind"),
        (("recogniser", "kind"), "frame", "recogniser.frames is 16, kind frame"),
        (("recogniser", "frames"), 1, "recogniser.frames"),
        (("recogniser", "frames"), 16.0, "recogniser.frames"),
        (("recogniser", "frames"), 257, "recogniser.frames"),
        (("recogniser", "seconds"), 0, "recogniser.seconds"),
        (("recogniser", "seconds"), 61, "recogniser.seconds"),
        (("recogniser", "seconds"), "1", "recogniser.seconds"),
        (("recogniser", "short_side"), 0, "recogniser.short_side"),
        (("recogniser", "crop"), 129, "recogniser.crop"),
        (("recogniser", "temperature"), 0.0, "recogniser.temperature"),
        (("recogniser", "temperature"), True, "recogniser.temperature"),
    ],
)
def test_settings_that_do_not_add_up_are_refused(
    tmp_path: Path, change: tuple[str, ...], value: object, message: str
) -> None:
    path = tmp_path / "x.plan"
    write_plan(path, WITH, graphs=GRAPHS, skim=random_skim())
    assert message in refused(path, rewrite(path, change, value))


def test_a_clip_has_a_bounded_size() -> None:
    with pytest.raises(PlanError, match="bytes a moment"):
        RecogniserSettings(kind="clip", frames=256, seconds=8.5, short_side=512, crop=512)


def test_without_skimming_nothing_is_looked_at() -> None:
    with pytest.raises(PlanError, match="no moments"):
        PlanDocument(classes=("a",), skim=SkimSettings(preset="clip", steps=1), recogniser=CLIP)


@pytest.mark.parametrize(
    ("document", "graphs", "message"),
    [
        (WITH, ("image.fp32", "audio.fp32"), r"graph\.recogniser\.fp32 is missing"),
        (DOCUMENT, ("image.fp32", "audio.fp32", "recogniser.fp32"), "knows no recogniser"),
    ],
)
def test_graph_and_settings_come_together(
    tmp_path: Path, document: PlanDocument, graphs: tuple[str, ...], message: str
) -> None:
    with pytest.raises(PlanError, match=message):
        write_plan(tmp_path / "x.plan", document, graphs=dict.fromkeys(graphs, b"g"), skim=random_skim())


@pytest.mark.parametrize(
    ("weight", "settings", "message"),
    [
        (np.ones((3, 2)), RecogniserSettings(), "2 scores, the plan names 3 classes"),
        (np.ones((3, 3)), RecogniserSettings(crop=96), r"takes \(112, 112, 3\), the plan says \(96, 96, 3\)"),
        (np.ones((3, 3)), CLIP, r"the plan says \(16, 112, 112, 3\)"),
        (np.ones((8, 3, 3)), CLIP, r"takes \(8, 112, 112, 3\)"),
    ],
)
def test_a_graph_of_another_form_is_refused(
    tmp_path: Path, weight: np.ndarray, settings: RecogniserSettings, message: str
) -> None:
    path = tmp_path / "x.plan"
    write_whole(path, recogniser_graph(weight), settings)
    with pytest.raises(PlanError, match=message) as caught:
        Classifier(path)
    assert str(path) in str(caught.value)
    assert "graph.recogniser.fp32" in str(caught.value)


def test_int8_takes_a_graph_of_every_network(tmp_path: Path) -> None:
    path = tmp_path / "x.plan"
    more = {"image.int8": image_graph(), "audio.int8": audio_graph()}
    write_whole(path, recogniser_graph(np.ones((3, 3))), RecogniserSettings(), **more)
    with pytest.raises(PlanError, match=r"graph\.recogniser\.int8 is missing"):
        Classifier(path, precision="int8")


def test_inspect_and_compile_know_it(
    plan_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("L2L_CACHE", str(tmp_path / "cache"))
    path, target = tmp_path / "x.plan", tmp_path / "y.plan"
    write_whole(path, recogniser_graph(np.ones((16, 3, 3))), CLIP)
    assert "recogniser   none" in inside("inspect", plan_file)[1]
    shown = inside("inspect", path)[1]
    assert "kind clip, short side 128, crop 112, frames 16" in shown
    assert "recogniser 0.00 MB" in shown
    status, out, _ = inside("compile", path, "-o", target, "--backend", "openvino")
    assert status == 0
    assert "recogniser" in out
    assert "openvino.recogniser" in read_plan(target).compiled
    assert "openvino.recogniser" in inside("inspect", target)[1]
    with Classifier(target) as classifier:
        assert classifier.plan.document.recogniser == CLIP
