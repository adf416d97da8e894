"""Motions as they look and sound, before any encoding."""

import numpy as np
import pytest

from training.data.draw import draw_actor, draw_drive, draw_voice
from training.data.motions import MOTIONS, PERIODS, pose
from training.data.scene import Actor, Voice
from training.data.shapes import EXTENT, OUTLINES, TEXTURES, mark
from training.data.sounds import SOUNDS, render_bed, render_voice
from training.data.universe import UNIVERSES

RATE = 16000
EVERY_MOTION = [(world, motion) for world in UNIVERSES.values() for motion in world.motions]


def actor_and_voice(motion: str, seed: int = 0) -> tuple[Actor, Voice]:
    world = next(world for world in UNIVERSES.values() if motion in world.motions)
    rng = np.random.default_rng(seed)
    actor = draw_actor(rng, world, world.objects[0], motion)
    drive = next(drive for drive in actor.drives if drive.motion == motion)
    return actor, draw_voice(rng, drive)


def sound(voice: Voice, seconds: float = 3.0) -> np.ndarray:
    return render_voice(voice, np.arange(int(seconds * RATE)) / RATE, RATE)


def envelope(wave: np.ndarray, window: float = 0.01) -> np.ndarray:
    width = int(window * RATE)
    return np.sqrt(np.convolve(wave**2, np.ones(width) / width, mode="same"))


@pytest.mark.parametrize(("world", "motion"), EVERY_MOTION)
def test_sixteen_frames_hold_a_whole_cycle(world, motion) -> None:
    least, greatest = PERIODS[motion]
    assert 0.1 <= least < greatest <= 0.5
    for seed in range(20):
        drive = draw_drive(np.random.default_rng(seed), motion)
        assert least <= drive.period <= greatest


@pytest.mark.parametrize(("world", "motion"), EVERY_MOTION)
def test_the_motion_shows_and_repeats(world, motion) -> None:
    for seed in range(5):
        actor, voice = actor_and_voice(motion, seed)
        times = np.linspace(0.0, voice.drive.period, 40, endpoint=False)

        def states(times: np.ndarray, actor: Actor = actor) -> np.ndarray:
            places = [pose(actor, float(time)) for time in times]
            return np.array([[p.x, p.y, np.cos(p.angle), np.sin(p.angle), p.scale, p.light] for p in places])

        now = states(times)
        assert np.allclose(now, states(times + 3 * voice.drive.period), atol=1e-6)
        spread = np.ptp(now, axis=0)
        assert spread.max() > 0.03  # of the height, or radians, or a factor


def test_an_object_at_rest_stays() -> None:
    actor = draw_actor(np.random.default_rng(1), UNIVERSES["target"], "ball", None)
    assert pose(actor, 0.0) == pose(actor, 1.234)


def test_every_motion_has_a_picture_and_a_sound() -> None:
    assert set(MOTIONS) == set(SOUNDS) == set(PERIODS) == {motion for _, motion in EVERY_MOTION}


@pytest.mark.parametrize("seed", range(5))
def test_a_thud_falls_where_the_ball_meets_the_floor(seed: int) -> None:
    actor, voice = actor_and_voice("bouncing", seed)
    drive = voice.drive
    loudness = envelope(sound(voice), 0.004)
    floor = max(pose(actor, time).y for time in np.linspace(0, 1, 1000))
    bounces = (np.arange(1, 5) - drive.phase) * drive.period
    for time in bounces:
        assert pose(actor, time).y == pytest.approx(floor, abs=1e-3)
        after = loudness[int(time * RATE) : int((time + 0.03) * RATE)].max()
        before = loudness[int((time - 0.03) * RATE) : int((time - 0.004) * RATE)].max()
        assert after > 3 * before


@pytest.mark.parametrize("seed", range(5))
def test_a_rattle_falls_on_both_ends_of_the_shake(seed: int) -> None:
    _, voice = actor_and_voice("shaking", seed)
    loudness = envelope(sound(voice), 0.004)
    beats = (np.arange(2, 20) / 2 - voice.drive.phase) * voice.drive.period
    near = np.array([loudness[int(t * RATE) : int((t + 0.015) * RATE)].max() for t in beats])
    between = np.array([loudness[int((t - 0.02) * RATE)] for t in beats])
    assert np.median(near / between) > 4


@pytest.mark.parametrize("seed", range(5))
def test_the_sweep_is_highest_at_one_end_of_the_slide(seed: int) -> None:
    actor, voice = actor_and_voice("sliding", seed)
    wave = sound(voice)
    times = np.arange(0.1, 2.5, 0.02)
    x, pitch = [], []
    for time in times:
        piece = wave[int((time - 0.02) * RATE) : int((time + 0.02) * RATE)]
        x.append(pose(actor, time).x)
        pitch.append(np.count_nonzero(np.diff(np.signbit(piece))))
    assert np.corrcoef(x, pitch)[0, 1] > 0.7


@pytest.mark.parametrize("seed", range(5))
def test_the_whir_swells_once_a_turn(seed: int) -> None:
    _, voice = actor_and_voice("spinning", seed)
    loudness = envelope(sound(voice), 0.02)
    cycles = voice.drive.phase + np.arange(len(loudness)) / RATE / voice.drive.period
    inner = slice(RATE // 10, -RATE // 10)
    once = abs(np.mean(loudness[inner] * np.exp(2j * np.pi * cycles[inner])))
    assert once > 0.3 * loudness[inner].mean()


@pytest.mark.parametrize(("world", "motion"), EVERY_MOTION)
@pytest.mark.parametrize("rate", [8000, 48000])
def test_sounds_have_their_level_at_any_rate(world, motion, rate) -> None:
    _, voice = actor_and_voice(motion)
    wave = render_voice(voice, np.arange(2 * rate) / rate, rate)
    assert wave.dtype == np.float32
    assert np.abs(wave).max() == pytest.approx(voice.level, rel=1e-3)
    assert np.array_equal(wave, render_voice(voice, np.arange(2 * rate) / rate, rate))


@pytest.mark.parametrize("kind", ["noise", "music"])
def test_beds_fill_their_time(kind: str) -> None:
    from training.data.scene import Bed

    wave = render_bed(Bed(kind, 0.3, 4), 4 * RATE, RATE)
    assert np.abs(wave).max() == pytest.approx(0.3, rel=1e-3)
    assert envelope(wave, 0.5)[RATE:-RATE].min() > 0.01


@pytest.mark.parametrize("shape", OUTLINES)
def test_outlines_stay_within_their_extent_and_have_a_body(shape: str) -> None:
    axis = np.linspace(-1.6, 1.6, 321, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = OUTLINES[shape](x, y) < 0
    assert (np.hypot(x, y)[inside] <= EXTENT).all()
    assert 0.6 < inside.sum() * 0.01**2 < 2.6  # of the unit square's area


@pytest.mark.parametrize("shape", OUTLINES)
def test_a_quarter_turn_shows_on_every_object(shape: str) -> None:
    """The mark moves even where the outline is round."""
    axis = np.linspace(-1.2, 1.2, 121, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    inside = OUTLINES[shape](x, y) < 0
    marked = inside & mark(x, y)
    assert marked.sum() > 0.05 * inside.sum()
    changed = (inside != np.rot90(inside)) | (marked != np.rot90(marked))
    assert changed.sum() > 0.1 * inside.sum()


def test_patterns_mix_two_colours() -> None:
    axis = np.linspace(-1, 1, 101, dtype=np.float32)
    x, y = np.meshgrid(axis, axis)
    for name, texture in TEXTURES.items():
        mix = texture(x, y, 1.5)
        assert mix.min() >= 0
        assert mix.max() <= 1
        assert name == "plain" or 0.2 < mix.mean() < 0.8
