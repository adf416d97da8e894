"""When an answer is no answer: `unsure` and `background` of a plan, and what predictions say of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine import Classifier, Prediction, Timings
from l2l_engine.call.answer import make_prediction
from l2l_engine.call.stopping import confidence, sure_after
from l2l_engine.errors import PlanError
from l2l_engine.plan import PlanDocument, SkimSettings, read_plan, write_plan
from l2l_engine.skim import SkimResult
from tests.api.commands import inside
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim, refused, rewrite, write_small_plan


def result_of(logits: np.ndarray) -> SkimResult:
    """A run of one step."""
    flat = np.ones((1, 1, 1), np.float32)
    return SkimResult(logits[None], flat, flat, np.full((1, 1, 2), 0.5, np.float32), flat, logits[None, None])


def predict(logits: np.ndarray, document: PlanDocument, top_k: int = 100) -> Prediction:
    return make_prediction(
        result_of(logits),
        np.zeros(1),
        document,
        has_image=True,
        has_audio=True,
        top_k=top_k,
        timings=Timings(),
        device="cpu",
    )


@st.composite
def answers(draw: Any) -> tuple[np.ndarray, PlanDocument]:
    """Logits, and a document with some background and perhaps a threshold."""
    count = draw(st.integers(2, 8))
    classes = tuple(f"class {number}" for number in range(count))
    behind = draw(st.sets(st.sampled_from(classes), max_size=count - 1))
    document = PlanDocument(
        classes=classes,
        skim=SkimSettings(steps=1),
        output=draw(st.sampled_from(["softmax", "sigmoid"])),
        unsure=draw(st.none() | st.floats(0, 1)),
        background=tuple(sorted(behind)),
    )
    logits = draw(st.lists(st.floats(-30, 30, width=32), min_size=count, max_size=count))
    return np.array(logits, np.float32), document


@settings(max_examples=200, deadline=None)
@given(answers(), st.integers(1, 9))
def test_the_label_is_the_most_probable_class_in_front(
    answer: tuple[np.ndarray, PlanDocument], top_k: int
) -> None:
    logits, document = answer
    found = predict(logits, document, top_k)
    by_name = dict(zip(document.classes, found.probabilities.tolist(), strict=True))
    front = {name: p for name, p in by_name.items() if name not in document.background}
    behind = [by_name[name] for name in document.background]
    assert found.top_k[0] == (found.label, found.confidence)
    assert found.confidence == max(front.values())
    assert len(found.top_k) == min(top_k, len(front))
    assert dict(found.top_k).items() <= front.items()
    assert [p for _, p in found.top_k] == sorted((p for _, p in found.top_k), reverse=True)
    assert found.known == (document.unsure is None or found.confidence >= document.unsure)
    together = max(behind, default=0.0) if document.output == "sigmoid" else min(sum(behind), 1.0)
    assert found.background == pytest.approx(together, abs=1e-6)
    assert Prediction.from_json(found.to_json()) == found
    assert confidence(result_of(logits), document) == found.confidence


def test_being_sure_of_background_ends_nothing() -> None:
    document = replace(DOCUMENT, calibration=(), background=("box sliding",))
    silent = result_of(np.array([0.0, 9.0, 0.0], np.float32))
    assert sure_after(silent, document, 0.9) is None
    assert sure_after(silent, replace(document, background=()), 0.9) is not None


@pytest.fixture(scope="module")
def doubting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("doubt") / "doubting.plan"
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    document = replace(DOCUMENT, unsure=0.999, background=("star shaking",))
    return write_plan(path, document, graphs=graphs, skim=random_skim()).path


def test_it_is_told_everywhere(doubting: Path, video: Path, tmp_path: Path) -> None:
    with Classifier(doubting) as classifier:
        found = classifier.predict(video)
        assert (found.known, len(found.top_k)) == (False, 2)
        assert found.background == pytest.approx(found.probabilities[2])
    page = tmp_path / "page.html"
    status, told, _ = inside("predict", video, "--plan", doubting, "--timeline", page)
    assert (status, "unsure" in told, "none of the classes" in told) == (0, True, True)
    text = page.read_text(encoding="utf-8")
    assert "unsure" in text
    assert "none of the classes" in text
    status, told, _ = inside("inspect", doubting)
    assert "below a confidence of 0.999" in told
    assert "background   star shaking" in told


def test_the_document_says_it_and_nothing_more_than_it_must(tmp_path: Path, doubting: Path) -> None:
    plain = write_small_plan(tmp_path / "plain.plan").document.to_dict()
    assert plain["format_version"] == 2
    assert not {"unsure", "background", "tags"} & plain.keys()
    document = read_plan(doubting).document
    assert (document.unsure, document.background) == (0.999, ("star shaking",))
    for unsure in (0, 1, 0.25):
        assert read_plan_with(tmp_path / "new.plan", unsure).unsure == unsure


def read_plan_with(path: Path, unsure: float) -> PlanDocument:
    return write_small_plan(path, replace(DOCUMENT, unsure=unsure)).document


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("unsure", 1.5, "no confidence"),
        ("unsure", True, "no confidence"),
        ("unsure", "0.5", "no confidence"),
        ("background", ["silence"], "no class"),
        ("background", [["box sliding"]], "no class"),
        ("background", "box sliding", "no list"),
        ("background", ["box sliding", "box sliding"], "twice"),
        ("background", ["ball bouncing", "box sliding", "star shaking"], "all classes are background"),
        ("tags", {}, "tags are given"),
        ("tags", [], "no object"),
        ("tags", {"image": {"names": ["a"]}}, "missing or unknown fields: output"),
        ("tags", {"image": {"names": "a", "output": "softmax"}}, "one or more"),
        ("tags", {"image": {"names": [1], "output": "softmax"}}, "one or more"),
        ("segments", [], "segments"),
    ],
)
def test_what_is_wrong_with_it_is_named(tmp_path: Path, name: str, value: object, message: str) -> None:
    path = tmp_path / "small.plan"
    write_small_plan(path)
    assert message in refused(path, rewrite(path, (name,), value))


def test_all_classes_in_the_background_are_refused() -> None:
    with pytest.raises(PlanError, match="all classes are background"):
        replace(DOCUMENT, background=DOCUMENT.classes)
