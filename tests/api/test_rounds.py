"""Which knots are decoded, in which order, and when it ends: with a clock and a video that obey."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from l2l_engine.call import Ask
from l2l_engine.call.pace import Pace
from l2l_engine.call.rounds import Outcome, run
from l2l_engine.errors import MediaError
from l2l_engine.plan import Plan, write_plan
from tests.api.fakes import HOP, FakeClock, FakeVideo
from tests.api.plans import DOCUMENT, random_skim


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Its classifier takes the first three features as logits; temperatures 1.5, 1.25, 1.1, 1."""
    weights = random_skim() | {"classifier.weight": FakeVideo.weight, "classifier.bias": FakeVideo.bias}
    graphs = {"image.fp32": b"no graph", "audio.fp32": b"no graph"}
    return write_plan(tmp_path_factory.mktemp("plan") / "fake.plan", DOCUMENT, graphs=graphs, skim=weights)


def ran(video: FakeVideo, plan: Plan, **options: Any) -> Outcome:
    wanted = Ask.of(plan.document, **options)
    pace = Pace(wanted, video.clock)
    video.check = pace.check
    return run(video, wanted, plan, pace)


def sure(logit: float) -> np.ndarray:
    features = np.zeros((4, 12), np.float32)
    features[:, 0] = logit
    return features


def test_without_bounds_everything_is_one_round(plan: Plan) -> None:
    video = FakeVideo(FakeClock())
    outcome = ran(video, plan, sampling="exact")
    ((image, audio),) = video.rounds
    assert image.tolist() == audio.tolist() == video.timestamps[::5].tolist()
    assert (outcome.stopped_by, outcome.skimmed.media.rounds, outcome.skimmed.media.sampling) == (
        "done",
        1,
        "exact",
    )
    assert (outcome.skimmed.media.image_planned, outcome.skimmed.media.audio_planned) == (23, 23)
    assert len(video.skims) == 1


@pytest.mark.parametrize("sampling", ["exact", "auto", "keyframes", "listen"])
@pytest.mark.parametrize("most", [1, 2, 5, 16, 500])
def test_max_knots_bounds_both_kinds(plan: Plan, sampling: str, most: int) -> None:
    heard = np.random.default_rng(0).random(1350).astype(np.float32)
    video = FakeVideo(FakeClock(), seconds=720, heard=heard)
    outcome = ran(video, plan, sampling=sampling, max_knots=most)
    assert 1 <= len(video.image) <= most
    assert 1 <= len(video.audio) <= most
    assert outcome.skimmed.media.image_planned == len(video.image)
    if most == 16 and sampling == "auto":
        assert video.image.tolist() == video.audio.tolist()  # each frame with its sound
        assert np.diff(video.image, prepend=0, append=720).max() < 3 * 720 / 16


def test_rounds_are_evenly_spread_walk_forward_and_repeat_nothing(plan: Plan) -> None:
    clock = FakeClock()
    video = FakeVideo(clock, seconds=600, frame=0.004, window=0.002, skim=0.002)
    outcome = ran(video, plan, sampling="auto", budget_ms=500)
    assert outcome.stopped_by == "budget"
    assert 4 <= len(video.rounds) <= 15
    asked = np.concatenate([image for image, _ in video.rounds])
    assert len(np.unique(asked)) == len(asked)
    taken = np.zeros(0)
    for image, audio in video.rounds:
        assert (np.diff(image) > 0).all()
        assert (np.diff(audio) > 0).all()
        taken = np.union1d(taken, image)
        assert np.diff(taken, prepend=0, append=600).max() <= 2.6 * 600 / len(taken) + 4
    media = outcome.skimmed.media
    assert media.image_planned > len(video.image) > 0.6 * 0.5 / 0.006  # most of the time was used


def test_a_budget_is_kept(plan: Plan) -> None:
    rng = np.random.default_rng(5)
    late, used = 0, []
    for _ in range(300):
        clock = FakeClock()
        budget = float(np.exp(rng.uniform(np.log(0.02), np.log(2.0))))
        costs = {"frame": 0.003, "walk": 0.01, "window": 0.001, "skim": 0.004}
        costs = {name: cost * float(np.exp(rng.normal(0, 0.7))) for name, cost in costs.items()}
        video = FakeVideo(clock, seconds=rng.uniform(20, 600), gop=rng.uniform(0.4, 20), **costs)
        begin = clock.now
        clock_spent = 0.004 + begin  # opening the file
        clock.now = begin
        wanted = Ask.of(plan.document, budget_ms=budget * 1000)
        pace = Pace(wanted, clock)
        video.check = pace.check
        clock.now = clock_spent
        outcome = run(video, wanted, plan, pace)
        spent = clock.now - begin
        late += spent > max(1.2 * budget, budget + 0.02)
        if outcome.stopped_by == "budget":
            used.append(spent / budget)
        else:
            assert len(video.image) == outcome.skimmed.media.image_planned
    assert late <= 15  # one in twenty
    assert np.median(used) > 0.6


def test_time_is_kept_for_the_skimmer(plan: Plan) -> None:
    clock = FakeClock()
    video = FakeVideo(clock, seconds=600, frame=0.002, skim=0.08)
    begin = clock.now
    outcome = ran(video, plan, budget_ms=300)
    assert outcome.stopped_by == "budget"
    assert clock.now - begin <= 0.3
    assert len(video.image) > 10


def test_sound_alone_is_evenly_spread_wherever_it_ends(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=600, window=0.004, skim=0.001, has_video=False)
    outcome = ran(video, plan, budget_ms=200)
    assert (outcome.stopped_by, len(video.image)) == ("budget", 0)
    assert 20 < len(video.audio) < 100
    assert np.diff(video.audio, prepend=0, append=600).max() <= 2.6 * 600 / len(video.audio) + 3


def test_listening_keeps_knots_for_what_it_hears(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=120, gop=2, heard=heard_at(120, 33.6, 87.2))
    ran(video, plan, sampling="listen", max_knots=16)
    (first, sound), *looks = video.rounds
    assert (len(first), len(sound)) == (4, 8)
    assert len(looks) == 2
    for peak in (33.6, 87.2):
        assert abs(video.image - peak).min() < 0.5


def test_a_budget_too_small_for_anything_still_gives_an_answer(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), frame=0.1, window=0.1, skim=0.1)
    outcome = ran(video, plan, budget_ms=1)
    assert (len(video.image), len(video.audio), outcome.stopped_by) == (1, 1, "budget")
    assert abs(video.image[0] - 30) <= 4


def test_a_round_that_drags_on_is_ended(plan: Plan) -> None:
    """What decoding costs can change in the middle: the middle of this video is a hundred times dearer."""
    clock = FakeClock()
    video = FakeVideo(clock, seconds=600, frame=0.001, skim=0.002)
    first, begin = video.extract, clock.now

    def extract(image: np.ndarray, audio: np.ndarray) -> None:
        first(image, audio)
        video.frame = 0.1

    video.extract = extract  # type: ignore[method-assign]
    outcome = ran(video, plan, budget_ms=300)
    assert outcome.stopped_by == "budget"
    assert clock.now - begin <= 0.36
    where = video.skims[-1]
    assert where is not None
    near = np.abs(video.timestamps[:, None] - video.image[None]).min(axis=1)
    assert (near[where] <= 4 / 3).all()  # not near what was asked for and not decoded


def test_a_large_budget_sees_all_that_was_planned(plan: Plan) -> None:
    video, whole = (FakeVideo(FakeClock(), frame=0.001, window=0.001, skim=0.001) for _ in range(2))
    outcome = ran(video, plan, budget_ms=60_000)
    ran(whole, plan)
    assert outcome.stopped_by == "done"
    assert video.image.tolist() == whole.image.tolist()
    assert set(video.audio) == set(whole.audio) | set(whole.image)
    assert len(video.rounds) == 2
    assert video.skims[-1] is None


def test_frames_come_with_their_sound_and_the_rest_of_the_sound_last(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=600, frame=0.004, window=0.002, skim=0.002)
    ran(video, plan, budget_ms=400)
    for image, audio in video.rounds:
        assert image.tolist() == audio.tolist()
    video = FakeVideo(FakeClock(), seconds=600, gop=20, frame=0.001, walk=0.01, window=0.002, skim=0.002)
    ran(video, plan, budget_ms=350, sampling="keyframes")
    assert len(video.image) == 30
    assert len(video.audio) > 60
    assert len(video.rounds[-1][0]) == 0


def test_where_frames_are_far_apart_only_moments_near_one_count(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=120, gop=10)
    ran(video, plan, sampling="keyframes")
    (where,) = video.skims
    assert where is not None
    near = np.abs(video.timestamps[:, None] - video.keys[None]).min(axis=1) <= 4 / 3
    assert where.tolist() == near.tolist()
    dense = FakeVideo(FakeClock(), seconds=120, gop=2)
    ran(dense, plan, sampling="keyframes")
    assert dense.skims == [None]


def test_few_knots_make_nobody_sure(plan: Plan) -> None:
    """Before a deadline the first rounds are small; what they seem to say is not believed."""
    video = FakeVideo(FakeClock(), seconds=600, frame=0.004, skim=0.001, answer=lambda _: sure(20.0))
    outcome = ran(video, plan, stop_when=0.9, budget_ms=5000)
    assert outcome.stopped_by == "confidence"
    assert 8 <= len(video.image) < 32
    assert len(video.rounds[0][0]) == 1


def test_it_stops_when_it_is_sure(plan: Plan) -> None:
    """Rounds double what there is, and the answer is the first beginning of the run that is sure enough."""

    def answer(knots: int) -> np.ndarray:
        features = sure(0.1 if knots < 30 else 20.0)
        features[0, 0] = 0.0
        return features

    video = FakeVideo(FakeClock(), seconds=600, answer=answer)
    outcome = ran(video, plan, stop_when=0.9)
    assert [len(image) for image, _ in video.rounds] == [8, 8, 16]
    assert outcome.stopped_by == "confidence"
    assert outcome.skimmed.result.image_attention.shape[1] == 2  # after 1 step: even; after 2: a logit of 10
    np.testing.assert_allclose(outcome.skimmed.result.logits, [[10, 0, 0]])
    assert outcome.skimmed.media.rounds == 3


def test_every_number_of_steps_has_its_temperature(plan: Plan) -> None:
    """Logits of (3, 0, 0): 0.787 at temperature 1.5, 0.846 at 1.25, 0.884 at 1.1, 0.909 at 1."""
    for enough, steps in ((0.78, 1), (0.79, 2), (0.85, 3), (0.89, 4)):
        outcome = ran(FakeVideo(FakeClock(), answer=lambda _: sure(3.0)), plan, stop_when=enough)
        assert (outcome.stopped_by, outcome.skimmed.result.image_attention.shape[1]) == ("confidence", steps)
    outcome = ran(FakeVideo(FakeClock(), answer=lambda _: sure(3.0)), plan, stop_when=0.91)
    assert (outcome.stopped_by, outcome.skimmed.result.image_attention.shape[1]) == ("done", 4)


def heard_at(video_seconds: float, *moments: float) -> np.ndarray:
    times = np.arange(int(np.ceil(video_seconds / HOP))) * HOP
    attention = sum(
        np.exp(-((times - moment) ** 2)) * (2 - place / 10) for place, moment in enumerate(moments)
    )
    return (attention / attention.sum()).astype(np.float32)


def test_listening_tells_where_to_look(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=120, gop=10, heard=heard_at(120, 33, 87))
    outcome = ran(video, plan, sampling="listen")
    (first, sound), *looks = video.rounds
    assert first.tolist() == video.keys.tolist()
    assert sound.tolist() == video.timestamps[::5].tolist()
    assert len(looks) == 2
    for peak in (33, 87):
        assert abs(looks[0][0] - peak).min() < 0.5
    for image, audio in looks:
        assert image.tolist() == audio.tolist()  # a frame with the sound beside it
    where = video.skims[-1]
    assert where is not None
    near = np.abs(video.timestamps[:, None] - video.image[None]).min(axis=1)
    assert (near[where] <= 4 / 3).all()
    assert (near[~where] > 4 / 3).all()
    assert outcome.skimmed.media.sampling == "listen"
    assert outcome.skimmed.media.image_planned == len(video.image)


def test_it_looks_until_it_is_sure(plan: Plan) -> None:
    heard = heard_at(120, 33, 87)
    unsure = FakeVideo(FakeClock(), seconds=120, gop=10, heard=heard)
    ran(unsure, plan, sampling="listen")
    certain = FakeVideo(
        FakeClock(), seconds=120, gop=10, heard=heard, answer=lambda knots: sure(20.0 if knots > 12 else 0)
    )
    outcome = ran(certain, plan, sampling="listen")
    assert (len(certain.rounds), len(unsure.rounds)) == (2, 3)
    assert outcome.stopped_by == "done"  # nobody asked it to stop early


def test_the_first_look_makes_nobody_sure(plan: Plan) -> None:
    video = FakeVideo(
        FakeClock(), seconds=200, gop=10, heard=heard_at(200, 33, 87), answer=lambda _: sure(20.0)
    )
    outcome = ran(video, plan, sampling="listen", stop_when=0.9)
    assert outcome.stopped_by == "confidence"
    assert set(video.keys) < set(video.image)
    assert abs(video.image - 33).min() < 0.5


def test_listening_needs_sound_and_pictures(plan: Plan) -> None:
    silent = FakeVideo(FakeClock(), gop=10, has_audio=False)
    outcome = ran(silent, plan, sampling="listen")
    reference = FakeVideo(FakeClock(), gop=10, has_audio=False)
    ran(reference, plan, sampling="auto")
    assert silent.image.tolist() == reference.image.tolist()
    assert (len(silent.audio), outcome.skimmed.media.sampling) == (0, "auto")
    blind = FakeVideo(FakeClock(), has_video=False)
    ran(blind, plan, sampling="listen")
    assert (len(blind.image), len(blind.audio)) == (0, 23)


def test_sound_that_says_nothing_shows_no_moment(plan: Plan) -> None:
    """Undecodable sound, and plans that average all moments: the attention is flat."""
    video = FakeVideo(FakeClock(), gop=10)
    outcome = ran(video, plan, sampling="listen")
    reference = FakeVideo(FakeClock(), gop=10)
    ran(reference, plan, sampling="auto")
    assert video.image.tolist() == reference.image.tolist()
    assert outcome.skimmed.media.sampling == "auto"
    assert video.skims[-1] is None


def test_listening_without_a_sensible_key_frame(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), seconds=40, gop=1000, heard=heard_at(40, 9))
    ran(video, plan, sampling="listen")
    assert video.rounds[0][0].tolist() == [0.0]
    assert abs(video.rounds[1][0] - 9).min() < 0.5


def test_an_early_look_that_fails_is_no_reason_to_give_up(plan: Plan) -> None:
    video = FakeVideo(FakeClock(), answer=lambda _: sure(20.0))
    skim, calls = video.skim, []

    def late(*arguments: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            raise MediaError("only 40% of what was needed could be decoded")
        return skim(*arguments)

    video.skim = late  # type: ignore[method-assign]
    assert ran(video, plan, stop_when=0.9).stopped_by == "confidence"
    assert len(video.rounds) == 2
