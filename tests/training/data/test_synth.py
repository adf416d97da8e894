"""The files: what is in them, and what a run leaves behind."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from training.data.draw import Encoding, draw_encoding
from training.data.encode import write_video
from training.data.render import FrameRenderer, render_audio, render_frame
from training.data.scene import Scene
from training.data.sets import render_set
from training.data.synth import Job, main
from training.data.synth_config import SynthConfig, load_config
from training.data.timeline import draw_scene
from training.data.universe import UNIVERSES

SMALL = SynthConfig(
    duration=(30.0, 40.0),
    sizes=((160, 120),),
    fps=("12", "15"),
    presets=("ultrafast",),
    sample_rates=(8000, 16000),
    silent_share=0.0,
)
PLAIN = Encoding(160, 120, "15", 30, 0, "ultrafast", 20, 16000, 1, 1.0, 0, 0, 0)


def untrimmed(index: int, config: SynthConfig = SMALL) -> Scene:
    return draw_scene(21, index, universe="target", split="untrimmed", config=config)


def clip(index: int) -> Scene:
    return draw_scene(21, index, universe="target", split="clips", config=SMALL)


class Decoded:
    """A file on one clock: seconds, 0 where its earliest stream begins."""

    def __init__(self, path: Path) -> None:
        with av.open(str(path)) as container:
            self.streams = {stream.type: stream for stream in container.streams}
            frames = list(container.decode(video=0))
        self.key_frames = [number for number, frame in enumerate(frames) if frame.key_frame]
        self.times = np.array([float(frame.time) for frame in frames])
        self.images = np.stack([frame.to_ndarray(format="rgb24") for frame in frames])
        self.sound, self.rate, sound_start = None, 0, np.inf
        if "audio" in self.streams:
            with av.open(str(path)) as container:
                blocks = list(container.decode(audio=0))
            self.sound = np.concatenate([block.to_ndarray() for block in blocks], axis=1)
            self.rate, sound_start = blocks[0].sample_rate, float(blocks[0].time)
        zero = min(self.times[0], sound_start)
        self.times -= zero
        self.sound_start = sound_start - zero

    def heard(self, start: float, end: float) -> float:
        first, last = (round((at - self.sound_start) * self.rate) for at in (start, end))
        return float(np.sqrt(np.mean(self.sound[0, max(first, 0) : last] ** 2)))

    def seen(self, start: float, end: float) -> np.ndarray:
        return self.images[(self.times >= start) & (self.times < end)]


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Scene, Decoded]]:
    folder, made = tmp_path_factory.mktemp("videos"), []
    for index in range(3):
        scene, path = untrimmed(index), folder / f"{index}.mp4"
        rng = np.random.default_rng(index)
        write_video(scene, replace(draw_encoding(rng, SMALL), crf=18), path)
        made.append((scene, Decoded(path)))
    return made


def without_actors(scene: Scene) -> Scene:
    return replace(scene, events=tuple(replace(event, actor=None) for event in scene.events))


def luminance(image: np.ndarray) -> np.ndarray:
    """Of the colours the encoder keeps a quarter; of the brightness all."""
    return image.astype(np.float32) @ np.array([0.3, 0.6, 0.1], np.float32)


def share_unlike(image: np.ndarray, expected: np.ndarray) -> float:
    """Part of the picture that is not what was expected, beyond what compression does to it."""
    return float((np.abs(luminance(image) - luminance(expected)) > 30).mean())


def test_objects_are_in_the_picture_exactly_when_the_scene_says(videos: list[tuple[Scene, Decoded]]) -> None:
    for scene, decoded in videos:
        empty = FrameRenderer(without_actors(scene), 160, 120)
        for event in (event for event in scene.events if event.end - event.start > 0.3):
            number = int(np.argmin(np.abs(decoded.times - (event.start + event.end) / 2)))
            unlike = share_unlike(decoded.images[number], empty.frame(decoded.times[number]))
            assert (unlike > 0.005) == (event.actor is not None), event


def test_motion_is_seen_in_action_and_silent_motion_only(videos: list[tuple[Scene, Decoded]]) -> None:
    for scene, decoded in videos:
        still = tuple(
            replace(event, actor=event.actor and replace(event.actor, moving=None)) for event in scene.events
        )
        frozen = FrameRenderer(replace(scene, events=still), 160, 120)
        for event in (event for event in scene.events if event.actor is not None):
            late = decoded.times > event.start + 0.4
            chosen = np.flatnonzero(late & (decoded.times < event.end - 0.4))[:12]
            moved = [share_unlike(decoded.images[n], frozen.frame(decoded.times[n])) for n in chosen]
            assert (np.median(moved) > 0.003) == (event.kind in ("action", "silent motion")), event


def test_sound_is_where_the_scene_says_and_silence_elsewhere(videos: list[tuple[Scene, Decoded]]) -> None:
    for scene, decoded in videos:
        for event in (event for event in scene.events if event.end - event.start > 0.6):
            level = decoded.heard(event.start + 0.15, event.end - 0.15) / scene.room[0]
            if event.voice is None and event.bed is None:
                assert 0.8 < level < 1.2, event
            else:
                assert level > 3, event


def test_the_second_of_sound_after_a_silent_object_holds_no_motion(
    videos: list[tuple[Scene, Decoded]],
) -> None:
    """The distractor rule on the sound as decoded, for the window that goes with the object's last frame."""
    checked = 0
    for scene, decoded in videos:
        for event in scene.events:
            end = min(event.end + 1.0, scene.duration)
            beds = any(other.bed and other.start < end and other.end > event.start for other in scene.events)
            if event.kind == "silent motion" and not beds:
                assert decoded.heard(event.start + 0.1, end) < 1.2 * scene.room[0], event
                checked += 1
    assert checked >= 3


def test_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        write_video(clip(0), replace(PLAIN, b_frames=2, channels=2), tmp_path / name)
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    write_video(clip(1), PLAIN, tmp_path / "c.mp4")
    assert not np.array_equal(Decoded(tmp_path / "a.mp4").images[0], Decoded(tmp_path / "c.mp4").images[0])


def test_b_frames_are_the_same_bytes_whatever_was_in_memory(tmp_path: Path) -> None:
    """The scene is one where libx264's macroblock tree gave other bytes nearly every time."""
    scenes = Job(1002, "clips", "target", SynthConfig())
    assert (scenes.encoding(165).preset, scenes.encoding(165).b_frames) == ("veryfast", 1)
    rng, path, made = np.random.default_rng(0), tmp_path / "video.mp4", set()
    for _ in range(6):
        scenes.write(165, path)
        made.add(path.read_bytes())
        for size in rng.integers(500, 400_000, 20):
            rng.bytes(size)
    assert len(made) == 1


@pytest.mark.parametrize(
    "encoding",
    [
        PLAIN,
        replace(PLAIN, fps="60", gop=12, b_frames=3, preset="veryfast", sample_rate=8000),
        replace(PLAIN, fps="30000/1001", start_frames=37, sample_rate=44100, channels=2),
        replace(PLAIN, start_frames=20, video_delay=5, b_frames=2),
        replace(PLAIN, audio_delay=4800, sample_rate=16000),
        replace(PLAIN, start_frames=20, audio_delay=2400, sample_rate=8000),
        replace(PLAIN, sample_rate=None, channels=0, start_frames=9),
    ],
)
def test_files_are_encoded_as_drawn_and_keep_the_scenes_clock(tmp_path: Path, encoding: Encoding) -> None:
    scene = next(clip(n) for n in range(50) if clip(n).label.endswith("bouncing"))
    write_video(scene, encoding, tmp_path / "clip.mp4")
    decoded = Decoded(tmp_path / "clip.mp4")
    rate = Fraction(encoding.fps)
    expected = np.arange(encoding.video_delay, scene.duration * float(rate)) / float(rate)
    assert decoded.times == pytest.approx(expected, abs=2e-3)  # the container counts in milliseconds
    gaps = np.diff([*decoded.key_frames, len(expected)])
    assert gaps.max() <= encoding.gop
    video = decoded.streams["video"].codec_context
    assert (video.name, video.width, video.height) == ("h264", 160, 120)
    assert bool(video.has_b_frames) == bool(encoding.b_frames)
    middle = len(expected) // 2
    drawn = render_frame(scene, expected[middle], 160, 120).astype(int)
    assert np.abs(drawn - decoded.images[middle]).mean() < 12
    if encoding.sample_rate is None:
        assert decoded.sound is None
        return
    assert decoded.streams["audio"].codec_context.name == "aac"
    assert (decoded.sound.shape[0], decoded.rate) == (encoding.channels, encoding.sample_rate)
    track = render_audio(scene, decoded.rate)
    begin = round(decoded.sound_start * decoded.rate)
    assert begin == pytest.approx(encoding.audio_delay, abs=2e-3 * decoded.rate)
    heard = decoded.sound[0][: len(track) - begin]
    lags = range(-decoded.rate // 50, decoded.rate // 50 + 1, max(1, decoded.rate // 2000))
    alike = [float(np.dot(np.roll(heard, lag), track[begin : begin + len(heard)])) for lag in lags]
    assert abs(lags[int(np.argmax(alike))]) <= 3e-3 * decoded.rate


def test_default_encodings_vary_as_much_as_promised() -> None:
    config = SynthConfig()
    drawn = [draw_encoding(np.random.default_rng([3, number]), config) for number in range(600)]
    assert {(e.width, e.height) for e in drawn} >= {(160, 120), (640, 360)}
    rates = {Fraction(e.fps) for e in drawn}
    assert min(rates) == 12
    assert max(rates) == 60
    assert {12, 250} <= {e.gop for e in drawn}
    assert {0, 1, 2, 3} == {e.b_frames for e in drawn}
    assert {8000, 48000} <= {e.sample_rate for e in drawn}
    assert {0, 1, 2} == {e.channels for e in drawn}
    assert 0.01 < np.mean([e.sample_rate is None for e in drawn]) < 0.08
    assert 0.2 < np.mean([e.start_frames > 0 for e in drawn]) < 0.4
    for e in drawn:
        assert (e.channels == 0) == (e.sample_rate is None)
        assert e.video_delay == 0 or e.audio_delay == 0
        assert e.audio_delay == 0 or e.audio_delay > 1024


def test_frames_are_the_same_at_any_time_order_and_alone() -> None:
    scene = untrimmed(0)
    renderer = FrameRenderer(scene, 192, 144)
    times = [20.0, 3.0, 11.5]
    together = [renderer.frame(time) for time in times]
    for time_, frame in zip(times, together, strict=True):
        assert frame.dtype == np.uint8
        assert np.array_equal(frame, render_frame(scene, time_, 192, 144))


def test_objects_stay_within_what_the_student_sees() -> None:
    """Almost nothing of a target object lies outside the centre crop, 112 of a short side of 128."""
    outside = inside = 0
    for index in range(60):
        scene = clip(index)
        empty = FrameRenderer(without_actors(scene), 320, 180)
        renderer = FrameRenderer(scene, 320, 180)
        for moment in np.linspace(0.05, scene.duration - 0.05, 5):
            there = (renderer.frame(moment) != empty.frame(moment)).any(axis=2)
            half = round(180 * 112 / 128 / 2)
            within = there[90 - half : 90 + half, 160 - half : 160 + half].sum()
            inside += within
            outside += there.sum() - within
    assert outside < 0.01 * inside


CONFIG = """
duration = [30.0, 32.0]
sizes = [[160, 120]]
fps = ["12"]
presets = ["ultrafast"]
sample_rates = [8000]
"""


def command(config: Path, output: Path, count: int) -> list[str]:
    words = ["--seed", "4", "--count", str(count), "--output", str(output), "--config", str(config)]
    return [*words, "--workers", "1"]


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(CONFIG)
    return path


def lines(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "manifest.jsonl").read_text().splitlines()]


def test_a_killed_run_lists_finished_files_and_continues(tmp_path: Path, config: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    words = [sys.executable, "-m", "training.data.synth", *command(config, killed, 4)]
    process = subprocess.Popen(words, start_new_session=True, stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            if (killed / "manifest.jsonl").exists() and len(lines(killed)) >= 2:
                break
            time.sleep(0.02)
    finally:
        # The workers too: a machine that loses power does not stop tidily.
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    finished = [entry["path"] for entry in lines(killed)]
    assert 2 <= len(finished) < 4
    for path in finished:
        assert len(Decoded(killed / path).images) > 300
    before = {path: (killed / path).stat().st_mtime_ns for path in finished}

    assert main(command(config, killed, 4)) == 0
    assert main(command(config, whole, 4)) == 0
    assert {path: (killed / path).stat().st_mtime_ns for path in finished} == before
    for path in [f"videos/{number:05d}.mp4" for number in range(4)] + ["manifest.jsonl"]:
        assert (killed / path).read_bytes() == (whole / path).read_bytes()
    assert not list(killed.rglob("*.part"))


def test_the_manifest_has_the_promised_fields(tmp_path: Path) -> None:
    job = Job(8, "untrimmed", "source", SMALL)
    assert list(render_set(job, 0, tmp_path, 1)) == [0]
    assert (tmp_path / "manifest.jsonl").read_text() == ""
    for index in range(20):
        entry = json.loads(json.dumps(job.entry(index)))
        assert set(entry) == {"path", "label", "duration", "stretches", "distractors", "encoding"}
        assert entry["label"] in UNIVERSES["source"].classes
        assert not Path(entry["path"]).is_absolute()
        spans = [*entry["stretches"], *([e["start"], e["end"]] for e in entry["distractors"])]
        spans.sort()
        assert spans[0][0] == 0
        assert spans[-1][1] == pytest.approx(entry["duration"], abs=1e-5)
        needed = {
            "silent motion": {"object", "motion"},
            "sound alone": {"motion"},
            "rest": {"object", "bed"},
        }
        for event in entry["distractors"]:
            extra = set(event) - {"kind", "start", "end"}
            assert extra == needed.get(event["kind"], extra & {"bed"})


def test_another_set_is_not_mixed_in(
    tmp_path: Path, config: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command(config, tmp_path / "set", 0)) == 0
    other = command(config, tmp_path / "set", 0)
    other[1] = "5"
    assert main(other) == 1
    assert "other settings" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("frame_rate = 5", "frame_rate"),
        ("duration = [10.0, 12.0]", "no room"),
        ("duration = [", "bad.toml: Invalid value"),
        ("duration = 40.0", "should be a list"),
    ],
)
def test_a_bad_config_is_an_error_that_says_why(
    tmp_path: Path, text: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    assert main(command(path, tmp_path / "set", 1)) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_shipped_configs_load() -> None:
    folder = Path(__file__).parents[3] / "training" / "configs"
    paths = sorted(folder.glob("synth-*.toml"))
    assert paths
    for path in paths:
        assert load_config(path) != SynthConfig()
