"""Scenes before they are rendered: lengths, order, and the rules that keep the label hidden."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest

from training.data.scene import Event, Scene
from training.data.synth_config import SynthConfig
from training.data.timeline import draw_scene, label_of
from training.data.universe import UNIVERSES

TARGET = UNIVERSES["target"]
WINDOW = 1.0  # seconds of sound that go with a frame


def scene(index: int, *, seed: int = 5, universe: str = "target", split: str = "untrimmed") -> Scene:
    return draw_scene(seed, index, universe=universe, split=split, config=SynthConfig())


@pytest.fixture(scope="module")
def scenes() -> list[Scene]:
    return [scene(index) for index in range(200)]


def test_same_seed_and_index_draw_the_same_scene() -> None:
    assert scene(3) == scene(3)
    assert scene(3) != scene(4)
    assert scene(3) != scene(3, seed=6)


def test_events_fill_the_video_in_order(scenes: list[Scene]) -> None:
    for drawn in scenes:
        assert drawn.events[0].start == 0.0
        assert drawn.events[-1].end == pytest.approx(drawn.duration)
        assert all(before.end == after.start for before, after in pairwise(drawn.events))
        assert all(event.start < event.end for event in drawn.events)
        assert 30.0 <= drawn.duration <= 120.0


def test_action_is_short_and_in_one_to_three_stretches(scenes: list[Scene]) -> None:
    counts = Counter(len(drawn.stretches) for drawn in scenes)
    assert set(counts) == {1, 2, 3}
    for drawn in scenes:
        lengths = [end - start for start, end in drawn.stretches]
        assert min(lengths) > 3.0 - 1e-6
        assert 0.05 - 1e-6 < sum(lengths) / drawn.duration < 0.15 + 1e-6


def test_action_is_the_label_seen_moving_and_heard(scenes: list[Scene]) -> None:
    for drawn in scenes:
        for event in drawn.events:
            if event.kind != "action":
                continue
            assert event.actor is not None
            assert event.voice is not None
            assert drawn.label == f"{event.actor.look.shape} {event.actor.moving}"
            # One drive for both: the sound cannot run away from the picture.
            assert event.voice.drive in event.actor.drives
            assert event.voice.drive.motion == event.actor.moving
            assert event.fade == 0.0


def test_no_motion_is_heard_within_a_second_of_a_visible_object(scenes: list[Scene]) -> None:
    for drawn in scenes:
        heard = [event for event in drawn.events if event.voice is not None]
        for seen in (event for event in drawn.events if event.actor is not None):
            for other in heard:
                if other is seen:
                    assert seen.kind == "action"
                    continue
                apart = max(other.start - seen.end, seen.start - other.end)
                assert apart > WINDOW, (drawn.label, seen, other)


def test_each_kind_of_event_holds_what_it_says(scenes: list[Scene]) -> None:
    def holds(event: Event) -> tuple[bool, bool, bool, bool]:
        moving = event.actor is not None and event.actor.moving is not None
        return event.actor is not None, moving, event.voice is not None, event.bed is not None

    expected = {
        "action": {(True, True, True, False)},
        "silent motion": {(True, True, False, False)},
        "sound alone": {(False, False, True, False)},
        "rest": {(True, False, False, True)},
        "empty": {(False, False, False, False), (False, False, False, True)},
    }
    found = {kind: set() for kind in expected}
    for drawn in scenes:
        for event in drawn.events:
            found[event.kind].add(holds(event))
    assert found == expected


def test_distractors_outlast_the_action_and_differ(scenes: list[Scene]) -> None:
    seconds: Counter[str] = Counter()
    objects, sounds = [], []
    for drawn in scenes:
        others = [event for event in drawn.events if event.kind != "action"]
        for event in drawn.events:
            seconds[event.kind] += event.end - event.start
        objects.append(len({event.actor.look.shape for event in others if event.actor}))
        sounds.append(len({event.voice.drive.motion for event in others if event.voice}))
    # The shortest videos have no room for many.
    assert np.median(objects) >= 3
    assert np.median(sounds) >= 3
    assert np.mean(np.minimum(objects, sounds) >= 2) > 0.85
    assert seconds["silent motion"] > 2 * seconds["action"]
    assert seconds["sound alone"] > 2 * seconds["action"]
    assert seconds["rest"] > seconds["action"]


def test_the_labels_own_object_and_sound_are_distractors_too_but_never_its_silent_self(
    scenes: list[Scene],
) -> None:
    own_objects = own_sounds = 0
    for drawn in scenes:
        shape, motion = drawn.label.split(" ")
        for event in drawn.events:
            if event.kind == "action":
                continue
            own_objects += event.actor is not None and event.actor.look.shape == shape
            own_sounds += event.voice is not None and event.voice.drive.motion == motion
            if event.actor is not None and event.actor.look.shape == shape:
                assert event.actor.moving != motion
    assert own_objects > 40
    assert own_sounds > 10


def test_adding_up_what_was_seen_and_heard_does_not_tell_the_label(scenes: list[Scene]) -> None:
    """The best that averaging could do with perfect ears and eyes; chance is 1 in 16."""
    right = 0
    for drawn in scenes:
        seen: Counter[str] = Counter()
        heard: Counter[str] = Counter()
        for event in drawn.events:
            if event.actor is not None:
                seen[event.actor.look.shape] += event.end - event.start
            if event.voice is not None:
                heard[event.voice.drive.motion] += event.end - event.start
        right += drawn.label == f"{seen.most_common(1)[0][0]} {heard.most_common(1)[0][0]}"
    assert right / len(scenes) < 0.25


@pytest.mark.parametrize("universe", ["target", "source"])
def test_labels_come_in_full_rounds(universe: str) -> None:
    world = UNIVERSES[universe]
    count = len(world.classes)
    labels = [label_of(world, 9, index) for index in range(3 * count)]
    assert Counter(labels) == dict.fromkeys(world.classes, 3)
    assert labels[:count] != labels[count : 2 * count]


def test_universes_share_no_object_and_no_motion() -> None:
    source = UNIVERSES["source"]
    assert len(TARGET.objects) >= 4
    assert len(TARGET.motions) >= 4
    assert not set(TARGET.objects) & set(source.objects)
    assert not set(TARGET.motions) & set(source.motions)
    assert "ball bouncing" in TARGET.classes


@pytest.mark.parametrize("universe", ["target", "source"])
def test_a_clip_is_all_action(universe: str) -> None:
    for index in range(20):
        drawn = scene(index, universe=universe, split="clips")
        assert [event.kind for event in drawn.events] == ["action"]
        assert drawn.stretches == [(0.0, drawn.duration)]
        assert 2.0 <= drawn.duration <= 3.0


def test_look_and_place_do_not_depend_on_the_motion() -> None:
    """Means over many scenes of everything that a frame could give away, motion by motion."""
    from training.data.motions import pose

    rng = np.random.default_rng(0)
    numbers: dict[str, list[list[float]]] = {motion: [] for motion in TARGET.motions}
    for index in range(1600):
        actor = scene(index, split="clips").events[0].actor
        assert actor is not None
        assert actor.moving is not None
        place = pose(actor, rng.uniform(0.0, 2.0))
        look = [actor.look.size, actor.look.grain, *np.ravel(actor.look.colours)]
        turned = [np.cos(place.angle), np.sin(place.angle)]
        numbers[actor.moving].append(
            [place.x, place.y, abs(place.x), place.y**2, place.scale, *turned, *look]
        )
    tables = [np.array(rows) for rows in numbers.values()]
    every = np.concatenate(tables)
    for rows in tables:
        error = np.sqrt(every.var(axis=0) / len(rows))
        assert (np.abs(rows.mean(axis=0) - every.mean(axis=0)) <= 4.0 * error + 1e-12).all()
