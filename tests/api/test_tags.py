"""Plans of tags: what is heard and seen, and when, by the networks alone."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine import Classifier, DeviceError, Prediction, Tag
from l2l_engine.call.tagging import MOMENTS, SHARE
from l2l_engine.errors import PlanError
from l2l_engine.plan import (
    Plan,
    PlanDocument,
    SamplingSettings,
    SkimSettings,
    TagSettings,
    read_plan,
    tag_classes,
    write_plan,
)
from l2l_engine.skim.tagging import CHUNK, Tagger, tag_scores
from tests.api.commands import inside
from tests.api.graphs import audio_graph, image_graph

SEEN = TagSettings(("red", "grey", "crane", "blue sky"), "softmax")
HEARD = TagSettings(("Tone", "Silence", "crane"), "sigmoid")
TAGS = {"image": SEEN, "audio": HEARD}


def document_of(*modalities: str, **settings: Any) -> PlanDocument:
    tags = {modality: TAGS[modality] for modality in modalities}
    return PlanDocument(
        classes=tag_classes(tags),
        sampling=SamplingSettings(1),
        skim=SkimSettings(preset="tags", steps=1),
        output="sigmoid",
        modalities=modalities,
        tags=tags,
        **settings,
    )


def write(path: Path, *modalities: str, **settings: Any) -> Plan:
    graphs = {"image.fp32": image_graph(len(SEEN.names)), "audio.fp32": audio_graph(len(HEARD.names))}
    own = {f"{modality}.fp32": graphs[f"{modality}.fp32"] for modality in modalities}
    return write_plan(path, document_of(*modalities, **settings), graphs=own, skim={})


@pytest.fixture(scope="module")
def plan_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("tags") / "tags.plan", "image", "audio").path


def expected_tags(
    bank: np.ndarray, times: np.ndarray, tags: TagSettings
) -> list[tuple[str, float, list[float]]]:
    """The tags of a modality by their definition, in plain Python."""
    found = []
    for number, name in enumerate(tags.names):
        scores = []
        for row in bank.astype(np.float64):
            if tags.output == "softmax":
                scores.append(float(np.exp(row[number]) / np.exp(row).sum()))
            else:
                scores.append(float(1 / (1 + np.exp(-row[number]))))
        ranked = sorted(zip(scores, times.tolist(), strict=True), key=lambda pair: -pair[0])[:MOMENTS]
        best = ranked[0][0]
        found.append((name, best, [time for score, time in ranked if score >= SHARE * best]))
    return sorted(found, key=lambda tag: -tag[1])


def check(found: tuple[Tag, ...], bank: Any, times: Any, tags: TagSettings, top_k: int = 5) -> None:
    expected = expected_tags(bank, times, tags)[:top_k]
    assert [tag.name for tag in found] == [name for name, _, _ in expected]
    for tag, (_, score, seconds) in zip(found, expected, strict=True):
        assert tag.score == pytest.approx(score, abs=1e-5)
        assert list(tag.seconds) == seconds


def test_what_is_seen_and_heard_is_told_with_its_moments(plan_file: Path, video: Path) -> None:
    with Classifier(plan_file, precision="fp32") as classifier:
        classifier.warmup()
        found = classifier.predict(video, top_k=2)
        features = classifier.features(video)
        again = classifier.predict_features(
            features.image_bank,
            features.audio_bank,
            image_times=features.image_times,
            audio_times=features.audio_times,
            timestamps=features.timestamps,
        )
        assert classifier.explain(video).audio_knots.tolist() == features.audio_times.tolist()
        for options in ({"sampling": "listen"}, {"max_knots": 4}, {"budget_ms": 5000.0}, {"stop_when": 0.3}):
            assert classifier.predict(video, **options).heard  # type: ignore[arg-type]
        with pytest.raises(ValueError, match="names tags"):
            classifier.predict(video, steps=2)
    check(found.seen, features.image_bank, features.image_times, SEEN, 2)
    check(found.heard, features.audio_bank, features.audio_times, HEARD, 2)
    check(again.seen, features.image_bank, features.image_times, SEEN)
    check(again.heard, features.audio_bank, features.audio_times, HEARD)
    assert found.label in {f"seen: {found.seen[0].name}", f"heard: {found.heard[0].name}"}
    assert found.confidence == max(found.seen[0].score, found.heard[0].score)
    assert len(found.probabilities) == len(SEEN.names) + len(HEARD.names)
    assert (found.moments, found.steps, found.known) == ((), 1, True)
    assert Prediction.from_json(found.to_json()) == found
    assert json.loads(found.to_json())["heard"][0].keys() == {"name", "score", "seconds"}


@settings(max_examples=80, deadline=None)
@given(
    moments=st.one_of(st.integers(1, 12), st.sampled_from([CHUNK - 1, CHUNK, 2 * CHUNK + 1])),
    seed=st.integers(0, 2**16),
    size=st.sampled_from([0.1, 3.0, 40.0, 800.0]),
    outputs=st.tuples(st.sampled_from(["softmax", "sigmoid"]), st.sampled_from(["softmax", "sigmoid"])),
    modality=st.sampled_from(["both", "image", "audio"]),
)
def test_a_score_is_the_highest_of_the_moments(
    moments: int, seed: int, size: float, outputs: tuple[str, str], modality: Any
) -> None:
    rng = np.random.default_rng(seed)
    image, audio = ((size * rng.standard_normal((1, moments, count))).astype(np.float32) for count in (4, 3))
    tagger = Tagger({"image": (outputs[0], 4), "audio": (outputs[1], 3)})
    stamps = np.arange(moments, dtype=np.float64)[None]
    result = tagger.run(
        None if modality == "audio" else image,
        None if modality == "image" else audio,
        stamps,
        stamps,
        stamps,
        modality=modality,
    )
    with np.errstate(over="ignore"):
        scores = 1 / (1 + np.exp(-result.logits[0].astype(np.float64)))
    seen = tag_scores(image[0], outputs[0]).max(axis=0) * (modality != "audio")
    heard = tag_scores(audio[0], outputs[1]).max(axis=0) * (modality != "image")
    np.testing.assert_allclose(scores, np.concatenate([seen, heard]), atol=1e-6)
    assert result.image_attention.sum() == pytest.approx(float(modality != "audio"))
    assert result.audio_attention.sum() == pytest.approx(float(modality != "image"))
    assert result.modality_scores.sum() == pytest.approx(1.0)


def test_scores_are_probabilities_whatever_the_logits() -> None:
    wild = np.array([[1e4, -1e4, 0.0], [-1e4, -1e4, -1e4]], np.float32)
    np.testing.assert_allclose(tag_scores(wild, "softmax").sum(axis=1), 1.0)
    np.testing.assert_allclose(tag_scores(wild, "sigmoid"), [[1, 0, 0.5], [0, 0, 0]], atol=1e-9)


@pytest.mark.parametrize("modality", ["image", "audio"])
def test_a_plan_of_one_modality_names_that_alone(modality: str, video: Path, tmp_path: Path) -> None:
    write(tmp_path / "one.plan", modality)
    with Classifier(tmp_path / "one.plan") as classifier:
        found = classifier.predict(video)
    assert (bool(found.seen), bool(found.heard)) == (modality == "image", modality == "audio")


def test_a_file_without_sound_is_only_seen(plan_file: Path, silent_video: bytes) -> None:
    with Classifier(plan_file) as classifier:
        found = classifier.predict(silent_video)
    assert (found.heard, len(found.seen)) == ((), 4)
    assert found.label.startswith("seen: ")
    assert not found.probabilities[len(SEEN.names) :].any()


def test_background_is_neither_label_nor_tag(video: Path, tmp_path: Path) -> None:
    plan = write(tmp_path / "quiet.plan", "audio")
    with Classifier(plan.path) as classifier:
        loudest = classifier.predict(video).label
    document = replace(plan.document, background=(loudest,))
    write_plan(tmp_path / "quiet.plan", document, graphs=plan.graphs, skim={})
    with Classifier(tmp_path / "quiet.plan") as classifier:
        found = classifier.predict(video)
    names = [f"heard: {tag.name}" for tag in found.heard]
    assert loudest not in {found.label, *names, *dict(found.top_k)}
    assert len(names) == len(HEARD.names) - 1
    assert found.background == found.probabilities[document.classes.index(loudest)]


def test_the_command_line_and_the_pages_call_them_tags(plan_file: Path, video: Path, tmp_path: Path) -> None:
    page, results = tmp_path / "page.html", tmp_path / "results.jsonl"
    status, told, _ = inside("predict", video, "--plan", plan_file, "--timeline", page)
    assert (status, "tags, not actions" in told) == (0, True)
    assert "heard:" in told
    assert "seen:" in told
    assert " at 0:0" in told
    text = page.read_text(encoding="utf-8")
    assert "a tag, not an action" in text
    assert "<h3>Heard</h3>" in text
    status, told, _ = inside("inspect", plan_file)
    assert "tags, not actions: 3 heard, 4 seen" in told
    assert inside("predict", video, "--plan", plan_file, "--resume", results)[0] == 0
    assert Prediction.from_json(results.read_text()).heard
    assert inside("predict", video, "--plan", plan_file, "--resume", tmp_path / "results.csv")[0] == 0


def test_a_gpu_is_refused_for_now(plan_file: Path) -> None:
    with pytest.raises(DeviceError, match="not for a plan of tags yet; use 'cpu'"):
        Classifier(plan_file, device="cuda")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    document = document_of("image", "audio")
    for change, message in (
        ({"classes": ("a", "b")}, "must be its tags"),
        ({"tags": {"image": SEEN}}, "tags of every modality"),
        ({"tags": None}, "tags of every modality"),
        ({"output": "softmax"}, "output of a plan of tags is sigmoid"),
        ({"calibration": (1.0,)}, "without calibration"),
        ({"skim": SkimSettings()}, "tags are given"),
    ):
        with pytest.raises(PlanError, match=message):
            replace(document, **change)  # type: ignore[arg-type]
    for names, output, message in (
        ((), "softmax", "one or more"),
        (("a", "a"), "softmax", "twice"),
        (("a",), "max", "output of tags"),
    ):
        with pytest.raises(PlanError, match=message):
            TagSettings(names, output)
    with pytest.raises(PlanError, match="one step"):
        SkimSettings(preset="tags", steps=2)
    graphs = {"image.fp32": image_graph(4), "audio.fp32": audio_graph(2)}
    with pytest.raises(PlanError, match=r"skim\.fusion\.0\.bias is unknown"):
        write_plan(
            tmp_path / "t.plan", document, graphs=graphs, skim={"fusion.0.bias": np.zeros(1, np.float32)}
        )
    write_plan(tmp_path / "t.plan", document, graphs=graphs, skim={})
    with pytest.raises(PlanError, match=r"graph\.audio\.fp32 gives 2 features, the plan's tags are 3"):
        Classifier(tmp_path / "t.plan")


def test_the_document_is_read_back(plan_file: Path) -> None:
    assert read_plan(plan_file).document == document_of("image", "audio")
