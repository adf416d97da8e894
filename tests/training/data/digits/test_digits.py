"""AV-Digits: only eyes and ears together, at the same moment, tell the label."""

import json
from collections import defaultdict
from dataclasses import replace
from itertools import pairwise

import av
import numpy as np
import pytest

from l2l_engine.media import open_media
from tests.media.makers import media
from tests.shared import shared_files
from training.data.digits.__main__ import main
from training.data.digits.job import Job
from training.data.digits.render import DigitFootage
from training.data.digits.source import RATE, SPLITS, load_source
from training.data.digits.timeline import Settings, draw_script
from training.videos.manifest import read_manifest

SPEAKERS = ("anna", "ben", "carl", "dora", "emil", "fay")


@pytest.fixture(scope="module")
def recordings(tmp_path_factory):
    """Made-up recordings laid out like the real ones: image, voice and sound say what and whose they are."""
    root = tmp_path_factory.mktemp("recordings")
    (root / "digits").mkdir()
    arrays = {}
    for part, count, bright in (("train", 120, 100), ("test", 50, 200)):
        labels = np.arange(count) % 10
        images = np.zeros((count, 28, 28), np.uint8)
        images[:, 4:24, 4:24] = bright + labels[:, None, None]
        if part == "train":
            images[100:, 4:24, 4:24] += 50
        arrays |= {f"{part}_x": images, f"{part}_y": labels}
    np.savez(root / "digits" / "mnist.npz", **arrays)
    waves, digits, speakers = [], [], []
    for number, speaker in enumerate(SPEAKERS):
        for digit in range(10):
            wave = np.sin(2 * np.pi * (200 + 100 * digit + 10 * number) * np.arange(2400) / 8000)
            waves.append((20000 * wave).astype(np.int16))
            digits.append(digit)
            speakers.append(speaker)
    np.savez(
        root / "digits" / "fsdd.npz",
        samples=np.concatenate(waves),
        offsets=np.arange(len(waves) + 1) * 2400,
        digit=np.array(digits, np.int8),
        speaker=np.array(speakers),
        sample_rate=8000,
    )
    for fold in "12345":
        path = root / "esc10" / "rain" / f"{fold}-100-A.ogg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(media("ogg", video=None, audio="libopus", seconds=0.5, layout="mono"))
    return root


@pytest.fixture(scope="module")
def scripts():
    return [draw_script(3, index, clip=False, settings=Settings()) for index in range(200)]


def test_only_the_label_is_shown_and_spoken_at_once(scripts):
    for script in scripts:
        for part in script.parts:
            assert (part.kind == "match") == (part.shown == part.spoken == script.label)
            assert part.kind == "match" or part.shown != part.spoken
            assert part.kind == "match" or script.label not in (part.shown, part.spoken)
        assert 1 <= len(script.stretches) <= 3
        assert all(end - start >= 2 for start, end in script.stretches)


def test_parts_keep_more_than_a_second_apart(scripts):
    for script in scripts:
        assert script.parts[0].start > 1
        assert script.duration - script.parts[-1].end > 1
        assert all(after.start - before.end > 1 for before, after in pairwise(script.parts))


def test_neither_eyes_nor_ears_nor_their_sum_tell_the_label(scripts):
    """Naming the digit that was seen, heard, or both, for longest is right about once in a cast of four."""
    right = defaultdict(int)
    for script in scripts:
        seconds = defaultdict(lambda: np.zeros(10))
        for part in script.parts:
            for sense, digit in (("seen", part.shown), ("heard", part.spoken)):
                if digit is not None:
                    seconds[sense][digit] += part.end - part.start
                    seconds["both"][digit] += part.end - part.start
        for sense, totals in seconds.items():
            right[sense] += int(totals.argmax()) == script.label
    assert all(30 < count < 75 for count in right.values()), dict(right)


def test_the_action_is_a_small_part_and_labels_are_balanced(scripts):
    shares = [sum(end - start for start, end in script.stretches) / script.duration for script in scripts]
    assert 0.05 < np.median(shares) < 0.15
    assert set(np.bincount([script.label for script in scripts])) == {20}


def test_splits_share_no_writer_speaker_or_sound(recordings):
    sources = {split: load_source(recordings, split) for split in SPLITS}
    brightness = {split: int(source.images[0].max()) for split, source in sources.items()}
    assert brightness == {"train": 100, "validation": 150, "test": 200}
    voices = {split: {number for number, _ in source.voices[7]} for split, source in sources.items()}
    assert voices == {"train": {0, 1, 2, 3}, "validation": {4}, "test": {5}}
    assert [len(sources[split].noises) for split in SPLITS] == [3, 1, 1]
    assert all(len(wave) == pytest.approx(0.3 * RATE, abs=2) for _, wave in sources["train"].voices[0])


def test_the_picture_shows_and_the_sound_says_what_the_script_says(recordings):
    script = draw_script(1, 0, clip=False, settings=Settings())
    source = load_source(recordings, "train")
    blank = replace(script, parts=tuple(replace(part, shown=None) for part in script.parts))
    picture, without = (DigitFootage(s, source).frames(160, 120) for s in (script, blank))
    track = DigitFootage(script, source).sound(RATE)
    for part in script.parts:
        middle = (part.start + part.end) / 2
        changed = (picture(middle) != without(middle)).any(axis=2)
        assert changed.any() == (part.shown is not None)
        if part.shown is not None:
            rows, columns = (np.flatnonzero(changed.any(axis=axis)) for axis in (1, 0))
            height, width = np.ptp(rows) + 1, np.ptp(columns) + 1
            assert abs(height - width) <= 2
            assert 0.28 * 120 < height < 0.57 * 120
        assert np.array_equal(picture(part.end + 0.01), without(part.end + 0.01))
        if part.spoken is not None:
            spoken = track[round(part.start * RATE) : round(part.end * RATE)]
            peak = np.abs(np.fft.rfft(spoken)).argmax() / (len(spoken) / RATE)
            # The made-up voice of digit d sounds at 200 + 100 d Hz, played 12 % slower to 14 % faster.
            assert 0.87 < peak / (200 + 100 * part.spoken + 15) < 1.17


def test_a_set_is_rendered_resumed_and_read(recordings, tmp_path):
    output = tmp_path / "set"
    arguments = [
        "--data",
        str(recordings),
        "--seed",
        "4",
        "--output",
        str(output),
        "--clips",
        "--workers",
        "1",
    ]
    assert main([*arguments, "--count", "2"]) == 0
    first = {path.name: path.read_bytes() for path in (output / "videos").iterdir()}
    (output / "videos" / "00001.mp4").unlink()
    assert main([*arguments, "--count", "2"]) == 0
    assert {path.name: path.read_bytes() for path in (output / "videos").iterdir()} == first
    videos = read_manifest(output)
    assert [video.label for video in videos] == [
        str(Job(recordings, 4, "train", True).script(index).label) for index in range(2)
    ]
    with av.open(str(videos[0].path)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]
    with open_media(videos[0].path) as source:
        assert source.duration == pytest.approx(videos[0].duration, abs=0.2)
    entry = json.loads((output / "manifest.jsonl").read_text().splitlines()[0])
    assert entry["parts"][0]["kind"] == "match"


def test_what_is_missing_is_named(tmp_path, capsys):
    arguments = ["--data", str(tmp_path), "--seed", "1", "--count", "1", "--output", str(tmp_path / "x")]
    assert main(arguments) == 1
    assert "mnist.npz: no such file; its data are published as MNIST" in capsys.readouterr().err


def test_the_real_recordings_where_they_are_here():
    files = {path.name: path for path in shared_files("digits")}
    if not files:
        pytest.skip("the recordings are not here")
    source = load_source(files["mnist.npz"].parents[1], "test")
    assert sum(map(len, source.images)) == 10_000
    assert all(len(voices) == 50 for voices in source.voices)
    assert len(source.noises) == 80
