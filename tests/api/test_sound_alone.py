"""Audio-only plans: what they say is their own formula's, and they never ask for a picture."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine import Classifier, MediaError
from l2l_engine.errors import PlanError
from l2l_engine.loading import load_skimmer
from l2l_engine.media.ffmpeg import FFmpegSource
from l2l_engine.plan import (
    Dimensions,
    Plan,
    PlanDocument,
    RecogniserSettings,
    SkimSettings,
    read_plan,
    skim_shapes,
    write_plan,
)
from tests.api.commands import inside
from tests.api.graphs import audio_graph
from tests.api.plans import DOCUMENT
from tests.api.videos import write_video
from tests.kernels import skim_reference

SIZES = Dimensions(feature=12, fusion=20, key=8, hidden=16, classes=3)
PRESETS = {
    "paper": SkimSettings(steps=4),
    "released": SkimSettings(preset="released", steps=4, key_activation="relu", exclude_previous_argmax=True),
    "clip": SkimSettings(preset="clip", steps=1),
}


def document_of(preset: str) -> PlanDocument:
    return replace(DOCUMENT, modalities=("audio",), skim=PRESETS[preset])


def weights_of(document: PlanDocument, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {
        name: (rng.standard_normal(shape) * 1.5 / np.sqrt(shape[-1])).astype(np.float32)
        for name, shape in skim_shapes(document, SIZES, {"audio": 10}).items()
    }


def write(path: Path, preset: str = "paper", seed: int = 0) -> Plan:
    document = document_of(preset)
    graphs = {"audio.fp32": audio_graph()}
    return write_plan(path, document, graphs=graphs, skim=weights_of(document, seed))


@pytest.fixture(params=PRESETS)
def plan_file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return write(tmp_path / "sound.plan", request.param).path


def reference(plan: Plan, bank: np.ndarray, times: np.ndarray, stamps: np.ndarray, steps: int) -> Any:
    """The formula of one modality, in float64: that of a visual-only skimmer, with the sound in its place."""
    weights = {name.replace("_audio", "_image"): weight for name, weight in plan.skim.items()}
    if plan.document.skim.preset == "clip":
        rows = skim_reference.interpolate(bank, times, stamps)
        for name in ("fusion.0", "fusion.1", "classifier"):
            rows = rows @ np.float64(weights[f"{name}.weight"]).T + weights[f"{name}.bias"]
            rows = np.maximum(rows, 0) if name == "fusion.0" else rows
        return rows.mean(axis=0)
    chosen = plan.document.skim
    ways = {
        "key_activation": chosen.key_activation,
        "exclude_previous_argmax": chosen.exclude_previous_argmax,
    }
    return skim_reference.skim(weights, (bank, times), None, stamps, steps, **ways)  # type: ignore[arg-type]


@settings(max_examples=60, deadline=None)
@given(
    preset=st.sampled_from(sorted(PRESETS)),
    seed=st.integers(0, 2**16),
    knots=st.integers(1, 9),
    stamps=st.integers(1, 40),
    steps=st.integers(1, 6),
)
def test_the_skimmer_says_what_the_formula_of_one_modality_says(
    tmp_path_factory: pytest.TempPathFactory, preset: str, seed: int, knots: int, stamps: int, steps: int
) -> None:
    plan = write(tmp_path_factory.mktemp("plan") / "sound.plan", preset, seed)
    steps = 1 if preset == "clip" else steps
    rng = np.random.default_rng(seed)
    bank = rng.standard_normal((knots, SIZES.feature)).astype(np.float32)
    times = np.sort(rng.uniform(0, stamps * 8 / 15, knots)) + 1e-3 * np.arange(knots)
    moments = np.arange(stamps) * 8 / 15
    found = load_skimmer(plan, 1).run(
        None, bank[None], None, times[None], moments[None], steps, modality="audio"
    )
    expected = reference(plan, bank, times, moments, steps)
    if preset == "clip":
        np.testing.assert_allclose(found.logits[0], expected, rtol=1e-4, atol=1e-4)
        return
    pairs = {
        "logits": expected.logits,
        "step_logits": expected.step_logits,
        "step_features": expected.step_features,
        "audio_attention": expected.image_attention,
        "image_attention": np.zeros_like(expected.image_attention),
        "modality_scores": expected.modality_scores[:, ::-1],
    }
    for name, value in pairs.items():
        np.testing.assert_allclose(getattr(found, name)[0], value, rtol=1e-3, atol=1e-4, err_msg=name)


def test_a_plan_predicts_without_a_picture(
    plan_file: Path, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: object, **__: object) -> None:
        raise AssertionError("a picture was asked for")

    for method in ("iter_frames", "frames", "key_times", "groups"):
        monkeypatch.setattr(FFmpegSource, method, never)
    with Classifier(plan_file, precision="fp32") as classifier:
        classifier.warmup()
        prediction = classifier.predict(video)
        features = classifier.features(video)
        assert features.image_bank is None
        assert features.image_times is None
        again = classifier.predict_features(
            None, features.audio_bank, audio_times=features.audio_times, timestamps=features.timestamps
        )
        for options in ({"sampling": "listen"}, {"max_knots": 2}, {"budget_ms": 5000.0}, {"stop_when": 0.4}):
            other = classifier.predict(video, **options)  # type: ignore[arg-type]
            assert other.media is not None
            assert (other.media.image_knots, other.media.frames_decoded) == (0, 0)
        explanation = classifier.explain(video, sampling="listen")
    np.testing.assert_allclose(again.probabilities, prediction.probabilities, rtol=1e-6)
    assert prediction.media is not None
    assert (prediction.media.image_knots, prediction.media.frames_decoded) == (0, 0)
    assert (prediction.media.video, prediction.media.audio) == ("present", "present")
    assert all(moment.look_at is None for moment in prediction.moments)
    assert all(moment.modality_scores == (0.0, 1.0) for moment in prediction.moments)
    assert explanation.reasons == ("the plan is for sound alone: it will listen alone",)
    assert (len(explanation.image_knots), explanation.frames_to_decode) == (0, 0)
    plan = read_plan(plan_file)
    steps = plan.document.skim.steps
    expected = reference(plan, features.audio_bank, features.audio_times, features.timestamps, steps)
    logits = expected if plan.document.skim.preset == "clip" else expected.logits
    probabilities = skim_reference.softmax(logits / plan.document.temperature(steps))
    np.testing.assert_allclose(prediction.probabilities, probabilities, rtol=1e-4)


def test_it_says_the_same_of_a_video_and_of_its_sound(plan_file: Path, tmp_path: Path) -> None:
    write_video(tmp_path / "both.mp4")
    write_video(tmp_path / "sound.mp4", video=False)
    with Classifier(plan_file, precision="fp32") as classifier:
        both, sound = (classifier.predict(tmp_path / f"{name}.mp4") for name in ("both", "sound"))
    np.testing.assert_allclose(both.probabilities, sound.probabilities, atol=1e-3)


def test_a_file_without_sound_is_named(plan_file: Path, tmp_path: Path) -> None:
    silent = tmp_path / "silent.mp4"
    write_video(silent, audio=False)
    with Classifier(plan_file) as classifier:
        for ask in (classifier.predict, classifier.features, classifier.explain):
            with pytest.raises(
                MediaError, match=r"silent\.mp4: there is no sound.* for sound alone"
            ) as caught:
                ask(silent)
            assert str(silent) in str(caught.value)
        with pytest.raises(ValueError, match="image_bank is given, but the plan knows no image"):
            classifier.predict_features(np.zeros((2, 12), np.float32), None)


def test_the_command_line_and_the_page_tell_it(plan_file: Path, video: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    status, told, _ = inside("inspect", plan_file)
    assert (status, "modalities   audio\n" in told) == (0, True)
    status, told, _ = inside("predict", video, "--plan", plan_file, "--timeline", page)
    assert (status, "0 frames and" in told) == (0, True)
    status, told, _ = inside("predict", video, "--plan", plan_file, "--explain")
    assert (status, "for sound alone" in told) == (0, True)
    assert "<svg" in page.read_text(encoding="utf-8")


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    document = document_of("paper")
    with pytest.raises(PlanError, match="a recogniser needs pictures"):
        replace(document, recogniser=RecogniserSettings())
    with pytest.raises(PlanError, match="paired needs images and sound"):
        replace(document, skim=SkimSettings(preset="paired", steps=4))
    graphs = {"audio.fp32": audio_graph()}
    for change, message in (
        ({"modality.weight": np.zeros((2, 16), np.float32)}, r"skim\.modality\.weight is unknown"),
        ({"fusion.0.weight": np.zeros((20, 24), np.float32)}, r"skim\.fusion\.0\.weight has shape"),
        ({"key_audio.bias": np.zeros(3, np.float32)}, r"skim\.key_audio\.bias has shape"),
    ):
        with pytest.raises(PlanError, match=message):
            write_plan(tmp_path / "bad.plan", document, graphs=graphs, skim=weights_of(document) | change)
    with pytest.raises(PlanError, match=r"graph\.audio\.fp32 is missing"):
        write_plan(tmp_path / "bad.plan", document, graphs={}, skim=weights_of(document))


def test_content_of_a_sound_alone_is_enough(plan_file: Path) -> None:
    content = io.BytesIO()
    write_video(content, video=False, container_format="wav")
    with Classifier(plan_file) as classifier:
        assert classifier.predict(content.getvalue()).media is not None
