"""Segments from scores: against a plain walk, and what may never come out."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l2l_engine import Segment
from l2l_engine.call.segments import choices, find, moment_scores
from l2l_engine.errors import PlanError
from l2l_engine.loading import load_skimmer
from l2l_engine.plan import (
    PlanDocument,
    SegmentSettings,
    SkimSettings,
    moment_weights,
    read_plan,
    runnable_weights,
    write_plan,
)
from l2l_engine.skim import MomentHead, SkimResult
from l2l_engine.skim.moments import fused_rows
from tests.api.commands import inside
from tests.api.plans import DOCUMENT, random_pairing, random_skim, refused, rewrite
from tests.kernels.skim_reference import interpolate, joined

SETTINGS = SegmentSettings(thresholds=(0.5, 0.25, 0.75))


def walk(scores: np.ndarray, times: np.ndarray, end: float, document: PlanDocument) -> list[Segment]:
    """The same, moment by moment."""
    given = document.segments
    assert given is not None
    last, found = max(end, times[-1]), []
    for number, name in enumerate(document.classes):
        if name in document.background:
            continue
        smooth = []
        for time in times:
            near = np.abs(times - time) <= given.smooth_s / 2 + 1e-6
            smooth.append(
                float(np.mean(scores[near, number])) if given.smooth_s else scores[:, number][len(smooth)]
            )
        level, runs, run = given.edge * given.thresholds[number], [], []
        for moment in [*range(len(times)), None]:
            if moment is not None and smooth[moment] >= level:
                run.append(moment)
            elif run:
                runs.append(run)
                run = []
        pieces: list[list[Any]] = []
        for run in runs:
            if max(smooth[moment] for moment in run) < given.thresholds[number]:
                continue
            begin = times[0] if run[0] == 0 else crossing(smooth, times, run[0] - 1, level)
            stop = last if run[-1] == len(times) - 1 else crossing(smooth, times, run[-1], level)
            begin = min(max(begin + given.shift_s[0], times[0]), last)
            stop = min(max(stop + given.shift_s[1], times[0]), last)
            if begin >= stop:
                continue
            if pieces and begin - pieces[-1][1] <= given.bridge_s:
                pieces[-1][1:] = [stop, pieces[-1][2], run[-1]]
            else:
                pieces.append([begin, stop, run[0], run[-1]])
        for begin, stop, first, final in pieces:
            if stop - begin >= given.least_s:
                found.append(Segment(name, begin, stop, float(np.mean(smooth[first : final + 1]))))
    return found


def crossing(scores: list[float], times: np.ndarray, before: int, level: float) -> float:
    (a, b), (left, right) = scores[before : before + 2], times[before : before + 2]
    return float(left + (level - a) / (b - a) * (right - left))


@st.composite
def scored(draw: Any) -> tuple[np.ndarray, np.ndarray, float, PlanDocument]:
    rng = np.random.default_rng(draw(st.integers(0, 1 << 30)))
    count, classes = draw(st.integers(1, 60)), draw(st.integers(2, 4))
    times = draw(st.sampled_from([0.0, 3.0])) + np.cumsum(rng.uniform(0.1, 1.0, count))
    # No mean of them is a threshold: rounding would tell then.
    scores = rng.choice([0.0, 0.1, 0.25, 0.4, 0.5, 0.6, 0.9, 1.0], (count, classes))
    scores = np.where(rng.random((count, classes)) < 0.5, np.roll(scores, 1, axis=0), scores)
    seconds = st.sampled_from([0.0, 0.3, 1.1, 2.7])
    shift = st.sampled_from([0.0, 0.4, -0.7])
    own = SegmentSettings(
        thresholds=tuple(draw(st.sampled_from([0.201, 0.453, 0.552, 0.951])) for _ in range(classes)),
        edge=draw(st.sampled_from([1.0, 0.7, 0.33])),
        smooth_s=draw(st.sampled_from([0.0, 0.0, 0.9, 3.1])),
        bridge_s=draw(seconds),
        least_s=draw(seconds),
        shift_s=(draw(shift), draw(shift)),
    )
    names = tuple(f"class {number}" for number in range(classes))
    document = PlanDocument(classes=names, background=names[: draw(st.integers(0, 1))], segments=own)
    return scores, times, float(times[-1]) + draw(st.sampled_from([0.0, 0.2])), document


@settings(max_examples=100, deadline=None)
@given(scored())
def test_a_plain_walk_finds_the_same(case: tuple[np.ndarray, np.ndarray, float, PlanDocument]) -> None:
    _, times, end, document = case
    found, expected = find(*case), walk(*case)
    assert [(s.start_s, s.end_s) for s in found] == sorted((s.start_s, s.end_s) for s in found)

    def key(segment: Segment) -> tuple[str, float]:
        return segment.label, segment.start_s

    ours, theirs = sorted(found, key=key), sorted(expected, key=key)
    assert [s.label for s in ours] == [s.label for s in theirs]
    numbers = [[[s.start_s, s.end_s, s.score] for s in some] for some in (ours, theirs)]
    np.testing.assert_allclose(*numbers, rtol=0, atol=1e-9)
    for segment in found:
        assert times[0] <= segment.start_s < segment.end_s <= max(end, times[-1])
        assert 0 <= segment.score <= 1
        assert segment.label not in document.background
    for before, after in pairwise(ours):
        assert before.label != after.label or before.end_s < after.start_s


def test_edges_lie_between_timestamps() -> None:
    document = replace(DOCUMENT, segments=SETTINGS)
    scores = np.zeros((6, 3))
    scores[2:4, 0] = 1.0
    (found,) = find(scores, np.arange(6.0), 6.0, document)
    assert found == Segment("ball bouncing", 1.5, 3.5, 1.0)
    (whole,) = find(np.ones((1, 3)) * [0, 0.25, 0.7], np.zeros(1), 0.4, document)
    assert whole == Segment("box sliding", 0.0, 0.4, 0.25)
    assert find(np.zeros((4, 3)), np.arange(4.0), 4.0, document) == ()


def test_scores_know_the_file_and_the_attention() -> None:
    logits, probabilities = np.array([[0.0, 2.0], [0.0, 2.0]]), np.array([0.25, 1.0], np.float32)
    given = {"probabilities": probabilities, "attention": np.array([0.75, 0.25])}
    plain = moment_scores(logits, SegmentSettings((0.5, 0.5)), **given)
    np.testing.assert_allclose(plain, 1 / (1 + np.exp(-logits)))
    prior = moment_scores(logits, SegmentSettings((0.5, 0.5), prior=0.5), **given)
    np.testing.assert_allclose(prior, plain * [0.5, 1.0])
    looked = moment_scores(logits, SegmentSettings((0.5, 0.5), attention=2.0), **given)
    odds = looked / (1 - looked) / (plain / (1 - plain))
    np.testing.assert_allclose(odds, [[1.25**2] * 2, [0.75**2] * 2])
    far = moment_scores(np.array([[-1e4, 1e4]]), SegmentSettings((0.5, 0.5)), probabilities=probabilities,
                        attention=np.ones(1))  # fmt: skip
    assert far.tolist() == [[0.0, 1.0]]


def test_what_was_chosen_is_a_share_of_every_moment() -> None:
    image, audio = np.eye(4, dtype=np.float32)[None, :3], np.eye(4, dtype=np.float32)[None, 1:]
    votes = np.array([[[1, 0], [0.25, 0.75], [0.5, 0.5]]], np.float32)
    empty = np.zeros((1, 3, 1), np.float32)
    result = SkimResult(empty[0], image, audio, votes, empty, empty)
    np.testing.assert_allclose(choices(result), [0.5, 0.125, 0.375, 0.0])
    once = SkimResult(empty[0], image[:, :1], audio[:, :1], votes[:, :1], empty, empty)
    assert choices(once).tolist() == [0.25] * 4


def head_of(classes: int = 3, fusion: int = 20) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(5)
    weight, bias = rng.standard_normal((classes, fusion)), rng.standard_normal(classes)
    return {"moment.weight": weight.astype(np.float32), "moment.bias": bias.astype(np.float32)}


@pytest.mark.parametrize(
    ("form", "modality"),
    [
        *((form, modality) for form in ("paper", "paired") for modality in ("both", "image", "audio")),
        ("image alone", "image"),
        ("audio alone", "audio"),
    ],
)
def test_moments_say_what_the_formula_says(form: str, modality: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("l2l_engine.skim.pairs.CHUNK", 7)
    rng = np.random.default_rng(3)
    weights, document = random_skim() | head_of(), replace(DOCUMENT, segments=SETTINGS)
    if form == "paired":
        weights |= random_pairing()
        document = replace(document, skim=SkimSettings("paired"))
    if form.endswith("alone"):
        gone = "audio" if modality == "image" else "image"
        dropped = ("modality.", f"key_{gone}.", f"query_{gone}.")
        weights = {name: value for name, value in weights.items() if not name.startswith(dropped)}
        weights["fusion.0.weight"] = weights["fusion.0.weight"][:, :12]
        document = replace(document, modalities=(modality,))
    times = np.cumsum(rng.uniform(0.1, 2, 40))
    banks: dict[str, Any] = {
        name: (rng.standard_normal((m, 12)).astype(np.float32), np.sort(rng.uniform(0, 40, m)))
        for name, m in (("image", 9), ("audio", 14))
    }
    banks = {name: bank if modality in ("both", name) else None for name, bank in banks.items()}
    wide = {name: value.astype(np.float64) for name, value in weights.items()}

    def layer(name: str, rows: np.ndarray) -> np.ndarray:
        return rows @ wide[f"{name}.weight"].T + wide[f"{name}.bias"]

    image, audio = banks["image"], banks["audio"]
    if form == "paired":
        image = joined("image", banks["image"], banks["audio"], layer, lambda x: x)
        audio = joined("audio", banks["audio"], banks["image"], layer, lambda x: x)
    zeros = np.zeros((len(times), 12))
    rows = [zeros if bank is None else interpolate(*bank, times) for bank in (image, audio)]
    if form.endswith("alone"):
        rows = rows[:1] if modality == "image" else rows[1:]
    hidden = np.maximum(layer("fusion.0", np.concatenate(rows, axis=1)), 0)
    ready = moment_weights(document, weights)
    assert ready is not None
    found = MomentHead(ready).logits(banks["image"], banks["audio"], times)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, layer("moment", hidden), rtol=0, atol=2e-5)
    plain = runnable_weights(document, weights)
    assert not [name for name in plain if name.startswith("moment.")]
    np.testing.assert_allclose(
        fused_rows(plain, banks["image"], banks["audio"], times), hidden, rtol=0, atol=2e-5
    )


GRAPHS = {"image.fp32": b"no graph", "audio.fp32": b"no graph"}
WITH = replace(
    DOCUMENT, segments=replace(SETTINGS, edge=0.5, smooth_s=1.5, shift_s=(0.5, -0.25), prior=0.5), unsure=0.2
)


def written(path: Path, document: PlanDocument = WITH, **tensors: np.ndarray) -> Path:
    return write_plan(path, document, graphs=GRAPHS, skim=random_skim() | head_of() | tensors).path


def test_a_plan_keeps_its_settings_and_its_head(tmp_path: Path) -> None:
    plan = read_plan(written(tmp_path / "with.plan"))
    assert plan.document == WITH
    assert plan.skim["moment.weight"].shape == (3, 20)
    load_skimmer(plan, 1)  # which knows nothing of the head
    several = replace(WITH, output="sigmoid", thresholds=(0.5, 0.1, 0.9))
    assert read_plan(written(tmp_path / "several.plan", several)).document == several
    plain = write_plan(tmp_path / "plain.plan", DOCUMENT, graphs=GRAPHS, skim=random_skim())
    assert not {"segments", "thresholds"} & plain.document.to_dict().keys()
    assert moment_weights(plain.document, plain.skim) is None


def test_a_plan_tells_what_it_knows_of_when(tmp_path: Path) -> None:
    path = written(tmp_path / "several.plan", replace(WITH, output="sigmoid", thresholds=(0.5, 0.1, 0.9)))
    status, told, _ = inside("inspect", path)
    assert status == 0
    assert "from scores of 0.25-0.75, smoothed over 1.50 s" in told
    assert "from probabilities of 0.1-0.9" in told


@pytest.mark.parametrize(
    ("change", "value", "message"),
    [
        (("segments",), [], "segments is missing or no object"),
        (("segments",), None, "skim.moment.bias is unknown"),
        (("segments", "more"), 1, "more"),
        (("segments", "thresholds"), [0.5, 0.5], "one a class"),
        (("segments", "thresholds"), [0.5, 0.5, 0], "above 0"),
        (("segments", "thresholds"), [0.5, 0.5, "1"], "above 0"),
        (("segments", "thresholds"), 0.5, "above 0"),
        (("segments", "edge"), 0, "segments.edge"),
        (("segments", "edge"), None, "segments.edge"),
        (("segments", "smooth_s"), -1, "segments.smooth_s"),
        (("segments", "least_s"), True, "segments.least_s"),
        (("segments", "bridge_s"), 1e9, "segments.bridge_s"),
        (("segments", "shift_s"), [1], "segments.shift_s"),
        (("segments", "shift_s"), ["a", 1], "segments.shift_s"),
        (("segments", "prior"), -0.5, "segments.prior"),
        (("segments", "attention"), [], "segments.attention"),
        (("thresholds",), [0.5, 0.5, 0.5], "the output is softmax"),
        (("thresholds",), [0.5, 0.5, 1.5], "probabilities"),
        (("thresholds",), "0.5", "no list"),
    ],
)
def test_settings_that_do_not_add_up_are_refused(
    tmp_path: Path, change: tuple[str, ...], value: object, message: str
) -> None:
    path = written(tmp_path / "x.plan")
    assert message in refused(path, rewrite(path, change, value))


def test_a_head_of_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlanError, match=r"moment.weight has shape \(3, 12\), expected \(3, 20\)"):
        written(tmp_path / "x.plan", **{"moment.weight": np.zeros((3, 12), np.float32)})
    with pytest.raises(PlanError, match=r"skim.moment.weight is missing"):
        write_plan(tmp_path / "x.plan", WITH, graphs=GRAPHS, skim=random_skim())
    with pytest.raises(PlanError, match="thresholds must be one a class"):
        replace(DOCUMENT, output="sigmoid", thresholds=(0.5,))
