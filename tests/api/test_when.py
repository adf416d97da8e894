"""When it happens, through files: a plan that knows red pictures with a loud tone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from l2l_engine import Classifier, Prediction, Segment
from l2l_engine.call import Ask
from l2l_engine.call.pace import BudgetSpent, Pace
from l2l_engine.call.refining import EDGES, ROUNDS, SHARE, Refining
from l2l_engine.plan import PlanDocument, SegmentSettings, SkimSettings, write_plan
from l2l_engine.skim.moments import fused_rows
from tests.api.commands import inside
from tests.api.fakes import FakeClock, FakeVideo
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_pairing, random_skim
from tests.api.test_doubt import predict
from tests.api.videos import write_video

EVENT = (8.2, 15.3)
GRAPHS = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
SETTINGS = SegmentSettings(thresholds=(0.5, 0.5, 0.5), least_s=0.5)
WITH = replace(DOCUMENT, segments=SETTINGS)


def knowing(**more: np.ndarray) -> dict[str, np.ndarray]:
    """Tensors whose head has +6 for the first class where it is red and loud, else -6."""
    weights = random_skim() | more
    colours = np.random.default_rng(1).standard_normal((3, 12)).astype(np.float32)
    loudness = np.random.default_rng(2).standard_normal((10, 12)).astype(np.float32)
    grey, red = np.full(3, 0.5, np.float32) @ colours, np.array([0.9, 0.04, 0.04], np.float32) @ colours
    silent = np.zeros(12, np.float32)
    partly = [np.full(10, 0.32, np.float32) @ loudness * share for share in (0.25, 0.5, 0.75, 1.0)]
    rows, told = [], []
    for picture, seen in ((grey, False), (red, True), ((grey + red) / 2, False)):
        for number, sound in enumerate((silent, *partly)):
            one = np.zeros(1)
            rows.append(fused_rows(weights, (picture[None], one), (sound[None], one), one)[0])
            told.append(6.0 if seen and number >= 2 else -6.0)
    inputs = np.hstack([np.array(rows, np.float64), np.ones((len(rows), 1))])
    found = np.linalg.solve(inputs.T @ inputs + 1e-6 * np.eye(inputs.shape[1]), inputs.T @ np.array(told))
    weight, bias = np.zeros((3, len(found) - 1), np.float32), np.full(3, -6.0, np.float32)
    weight[0], bias[0] = found[:-1], found[-1]
    return weights | {"moment.weight": weight, "moment.bias": bias}


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Classifier]:
    path = tmp_path_factory.mktemp("when") / "when.plan"
    write_plan(path, WITH, graphs=GRAPHS, skim=knowing())
    with Classifier(path, threads=2) as made:
        yield made


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    small: dict[str, Any] = {"size": (96, 72), "event": EVENT}
    write_video(folder / "long-groups.mp4", seconds=26, **small)
    write_video(folder / "short-groups.mp4", seconds=26, gop=8, **small)
    write_video(folder / "silent.mp4", seconds=10, audio=False, **small)
    write_video(folder / "sound.wav", seconds=10, event=EVENT, video=False, container_format="wav")
    write_video(folder / "moment.mp4", seconds=0.3, size=(96, 72), event=(0, 1))
    write_video(folder / "nothing.mp4", seconds=10, size=(96, 72), event=(50, 60))
    return folder


def error(found: Prediction) -> float:
    """The larger of the two edges' errors, in seconds."""
    assert found.segments is not None
    (segment,) = found.segments
    assert segment.label == "ball bouncing"
    return max(abs(segment.start_s - EVENT[0]), abs(segment.end_s - EVENT[1]))


def answered(found: Prediction) -> dict[str, Any]:
    """All but when it happens and what that took."""
    plain = found.to_dict()
    for name in ("segments", "timings", "media"):
        del plain[name]
    return plain


@pytest.mark.parametrize("sampling", ["auto", "exact", "keyframes", "listen"])
@pytest.mark.parametrize("name", ["long-groups", "short-groups"])
def test_a_second_look_makes_edges_sharp_and_changes_nothing_else(
    classifier: Classifier, media: Path, name: str, sampling: Any
) -> None:
    path = media / f"{name}.mp4"
    first = classifier.predict(path, sampling=sampling, refine=False)
    again = classifier.predict(path, sampling=sampling)
    assert answered(first) == answered(again)
    assert Prediction.from_json(again.to_json()) == again
    assert first.media is not None
    assert again.media is not None
    assert first.media.frames_decoded <= again.media.frames_decoded <= 1.5 * first.media.frames_decoded
    assert again.media.rounds <= first.media.rounds + ROUNDS
    assert again.media.image_knots == again.media.image_planned >= first.media.image_knots
    if (name, sampling) == ("long-groups", "keyframes"):
        return  # two frames in all, and nothing is found
    assert first.media.audio_knots < again.media.audio_knots <= 2 * first.media.audio_knots
    assert error(again) <= max(error(first), 0.5)
    if (name, sampling) == ("short-groups", "exact"):
        assert error(again) < 0.2 < 1.0 < error(first)


def test_with_a_bound_on_knots_it_holds(classifier: Classifier, media: Path) -> None:
    found = classifier.predict(media / "short-groups.mp4", max_knots=12)
    assert found.media is not None
    assert max(found.media.image_knots, found.media.audio_knots) <= 12


@pytest.mark.parametrize("budget_ms", [1, 60, 5000])
def test_with_a_deadline_there_are_segments_too(
    classifier: Classifier, media: Path, budget_ms: float
) -> None:
    found = classifier.predict(media / "long-groups.mp4", budget_ms=budget_ms)
    assert found.segments is not None
    early = classifier.predict(media / "long-groups.mp4", stop_when=0.34)
    assert early.segments is not None


@pytest.mark.parametrize("name", ["silent.mp4", "sound.wav", "moment.mp4", "nothing.mp4"])
def test_files_that_lack_something(classifier: Classifier, media: Path, name: str) -> None:
    found = classifier.predict(media / name)
    assert found.segments is not None
    assert answered(found) == answered(classifier.predict(media / name, refine=False))
    if name == "nothing.mp4":
        assert found.segments == ()


def test_features_that_were_kept_tell_the_same(classifier: Classifier, media: Path) -> None:
    path = media / "short-groups.mp4"
    kept = classifier.features(path)
    times = {"image_times": kept.image_times, "audio_times": kept.audio_times}
    banks = kept.image_bank, kept.audio_bank
    whole = classifier.predict(path, refine=False)
    found = classifier.predict_features(*banks, **times, timestamps=kept.timestamps)
    assert found.segments == whole.segments
    turned = classifier.predict_features(*banks, **times, timestamps=kept.timestamps[::-1])
    assert turned.segments is not None
    assert [s.label for s in turned.segments] == [s.label for s in found.segments or ()]
    alone = classifier.predict_features(None, kept.audio_bank, audio_times=kept.audio_times)
    assert alone.segments is not None


@pytest.mark.parametrize("preset", ["paired", "clip", "sound alone"])
def test_every_kind_of_plan_can_tell(tmp_path: Path, media: Path, preset: str) -> None:
    path, weights = tmp_path / "other.plan", knowing()
    if preset == "paired":
        document = replace(WITH, skim=SkimSettings(preset, steps=4))
        weights |= random_pairing()
        write_plan(path, document, graphs=GRAPHS, skim=weights)
    elif preset == "clip":
        document = replace(WITH, skim=SkimSettings(preset, steps=1), calibration=())
        weights = {n: w for n, w in weights.items() if n.startswith(("fusion", "classifier", "moment"))}
        write_plan(path, document, graphs=GRAPHS, skim=weights)
    else:
        document = replace(WITH, modalities=("audio",))
        weights["fusion.0.weight"] = weights["fusion.0.weight"][:, 12:]
        gone = ("modality.", "key_image.", "query_image.")
        weights = {n: w for n, w in weights.items() if not n.startswith(gone)}
        write_plan(path, document, graphs={"audio.fp32": audio_graph()}, skim=weights)
    with Classifier(path, threads=1) as other:
        found = other.predict(media / "short-groups.mp4")
        assert found.segments is not None
        assert answered(found) == answered(other.predict(media / "short-groups.mp4", refine=False))
        if preset == "clip":
            assert error(found) < 1.0


def test_a_plan_without_settings_says_nothing_of_when(
    tmp_path: Path, classifier: Classifier, media: Path
) -> None:
    weights = {name: w for name, w in knowing().items() if not name.startswith("moment.")}
    write_plan(tmp_path / "plain.plan", DOCUMENT, graphs=GRAPHS, skim=weights)
    with Classifier(tmp_path / "plain.plan", threads=2) as plain:
        found = plain.predict(media / "short-groups.mp4")
    assert found.segments is None
    assert answered(found) == answered(classifier.predict(media / "short-groups.mp4"))


def test_the_command_looks_again_unless_told_not_to(classifier: Classifier, media: Path) -> None:
    told = {}
    for option in ("--refine", "--no-refine"):
        files = media / "short-groups.mp4", "--plan", classifier.plan.path
        status, out, _ = inside("predict", *files, "--jsonl", option)
        assert status == 0
        told[option] = Prediction.from_json(out).media
    both = [told[option] for option in ("--refine", "--no-refine")]
    assert all(media is not None for media in both)
    assert both[0].frames_decoded > both[1].frames_decoded  # type: ignore[union-attr]
    with pytest.raises(TypeError, match="refine must be True or False"):
        classifier.predict(media / "short-groups.mp4", refine="no")  # type: ignore[typeddict-item]
    reasons = " ".join(classifier.explain(media / "short-groups.mp4").reasons)
    assert "beside the edges" in reasons
    assert "beside the edges" not in " ".join(
        classifier.explain(media / "short-groups.mp4", refine=False).reasons
    )


class FakeEdged(FakeVideo):
    """A video that was decoded for an answer."""

    def __init__(self, clock: FakeClock, **more: Any) -> None:
        super().__init__(clock, **more)
        self.frames_decoded = 0

    @property
    def listened_to(self) -> np.ndarray:
        return self.audio

    def extract(self, image_knots: np.ndarray, audio_knots: np.ndarray) -> None:
        super().extract(image_knots, audio_knots)
        self.frames_decoded += len(image_knots)


def looked(video: FakeEdged, segments: tuple[Segment, ...], **options: Any) -> Refining:
    wanted = Ask.of(WITH, **options)
    pace = Pace(wanted, video.clock)
    video.check = pace.check
    video.extract(video.timestamps[::5], video.timestamps[::5])
    refining = Refining(video, wanted, WITH, pace)
    while refining.look(segments):
        pass
    return refining


def test_knots_lie_beside_edges_and_come_nearer_round_by_round() -> None:
    video = FakeEdged(FakeClock(), seconds=60, gop=0.5)
    looked(video, (Segment("ball bouncing", 20.1, 31.7, 0.9),))
    assert 1 < len(video.rounds) <= 1 + ROUNDS
    for edge in (20.1, 31.7):
        after = np.searchsorted(video.image, edge)
        assert video.image[after] - video.image[after - 1] <= 0.7
    added = np.setdiff1d(video.image, video.timestamps[::5])
    assert (np.abs(added[:, None] - [20.1, 31.7]).min(axis=1) < 8 / 3).all()
    assert len(added) <= SHARE * 23
    heard = np.setdiff1d(video.audio, video.timestamps[::5])
    assert len(heard) == 8


def test_the_surest_come_first_and_there_is_an_end() -> None:
    video = FakeEdged(FakeClock(), seconds=3600, gop=0.5)
    starts = np.arange(3.9, 3500, 16.0)
    segments = tuple(
        Segment("ball bouncing", start, start + 8, 1 - number / 1000) for number, start in enumerate(starts)
    )
    before = len(video.timestamps[::5])
    looked(video, segments)
    added = np.setdiff1d(video.image, video.timestamps[::5])
    assert len(added) <= SHARE * before
    assert added.max() < starts[EDGES // 2] + 8


def test_no_time_is_no_second_look() -> None:
    slow = FakeEdged(FakeClock(), seconds=60, gop=0.5, frame=0.05)
    segments = (Segment("ball bouncing", 20.1, 31.7, 0.9),)
    looked(slow, segments, budget_ms=1)
    assert len(slow.rounds) == 1

    pace = Pace(Ask.of(WITH, budget_ms=500), FakeClock())
    assert pace.time_for(np.zeros(1), np.zeros(1), 1, 0.0, windows=1)
    pace.keep(0.6)
    assert not pace.time_for(np.zeros(1), np.zeros(1), 1, 0.0)

    class Spent(FakeEdged):
        def extract(self, image_knots: np.ndarray, audio_knots: np.ndarray) -> None:
            if self.rounds:
                raise BudgetSpent
            super().extract(image_knots, audio_knots)

    video = Spent(FakeClock(), seconds=60, gop=0.5)
    assert looked(video, segments).rounds == 1


def test_labels_are_those_above_their_own_threshold() -> None:
    several = replace(
        DOCUMENT, output="sigmoid", calibration=(), background=("star shaking",), skim=SkimSettings(steps=1)
    )

    def labels(document: PlanDocument) -> tuple[str, ...]:
        return predict(np.array([1.0, 2.0, 3.0], np.float32), document).labels

    assert labels(several) == ("box sliding", "ball bouncing")
    assert labels(replace(several, thresholds=(0.7, 0.9, 0.1))) == ("ball bouncing",)
    assert labels(replace(several, thresholds=(0.9, 0.9, 0.1))) == ()
    assert labels(replace(several, output="softmax", unsure=0.2)) == ("box sliding",)
    assert labels(replace(several, output="softmax", unsure=0.9)) == ()
