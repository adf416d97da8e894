"""What real footage does to the stages: files without pictures or sound, segments, files cut short."""

import json

import numpy as np
import pytest
import torch

from l2l_engine.plan import MediaSettings
from tests.media.makers import bursts, media, read_index
from training.clips.pairs import load_pairs
from training.clips.students import STREAMS, Encoded, views
from training.config import Config, SetConfig, SkimConfig, StudentConfig
from training.errors import InputError
from training.models import SkimBatch, SkimmingNetwork
from training.skimming.features import VideoFeatures, _decode
from training.skimming.sequences import Density, Track, draw_knots
from training.videos.manifest import Video
from training.videos.segments import segment_times, silence_after
from training.videos.sets import describe_set, load_sets


def footage(folder, **files):
    """A configuration whose set "own" is these files, two classes in turn."""
    lines = []
    for number, (name, content) in enumerate(files.items()):
        path = folder / name.replace("_", ".")
        path.write_bytes(content)
        entry = {"path": path.name, "labels": ["ab"[number % 2]], "split": "train", "duration": 2.0}
        lines.append(json.dumps(entry | {"name": name, "stretches": [[0.0, 2.0]]}))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    sets = {"own": SetConfig(str(folder), "train")}
    student = StudentConfig(train=("own",), validation=("own",), pairs=3)
    return Config(str(folder / "work"), str(folder / "x.plan"), workers=0, sets=sets, student=student)


def test_pairs_of_files_with_and_without_pictures_and_sound(tmp_path):
    config = footage(
        tmp_path,
        both_mp4=media(frames=50),
        silent_mp4=media(frames=50, audio=None),
        sound_m4a=media(video=None, seconds=2.0),
        text_mp4=b"no video",
    )
    pairs = load_pairs(config, ("own",))
    assert pairs.videos.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert pairs.has_image.tolist() == [True] * 6 + [False] * 3
    assert pairs.has_audio.tolist() == [True] * 3 + [False] * 3 + [True] * 3
    assert not pairs.images[6:].any()
    assert pairs.images[:6].any(axis=(1, 2, 3)).all()
    assert not pairs.samples[3:6].any()
    (folder,) = config.folder("pairs").iterdir()
    (skipped,) = json.loads((folder / "skipped.json").read_text()).items()
    assert skipped[0].endswith("text.mp4")


def test_nothing_to_learn_from_is_one_clear_error(tmp_path):
    with pytest.raises(InputError, match=r"of 2 videos, none can be learnt from: .*a\.mp4"):
        load_pairs(footage(tmp_path, a_mp4=b"a", b_mp4=b"b"), ("own",))


def test_a_pair_takes_part_in_the_views_that_it_has_something_for():
    image, audio = torch.ones(4, 2), torch.full((4, 2), 2.0)
    has_image, has_audio = torch.tensor([1, 1, 1, 0]).bool(), torch.tensor([0, 0, 1, 1]).bool()
    batch = Encoded(image * has_image[:, None], audio * has_audio[:, None], has_audio, has_image)
    both, seen, heard = views(batch, STREAMS["both"], drop_image=0.2, drop_audio=0.4)
    assert both.share == pytest.approx(0.4)
    assert both.rows.all()
    assert (seen.share, seen.rows.tolist()) == (pytest.approx(0.4 * 3 / 4), has_image.tolist())
    assert (seen.image == 1).all()
    assert (seen.audio == 0).all()
    assert (heard.share, heard.rows.tolist()) == (pytest.approx(0.2 * 2 / 4), has_audio.tolist())
    assert (heard.image == 0).all()
    assert (heard.audio == 2).all()


def decode_all(video):
    return _decode(MediaSettings(), True, video)


def test_a_segment_is_read_as_if_it_were_a_file_of_its_own(tmp_path):
    path = tmp_path / "long.mp4"
    path.write_bytes(media(frames=100, sound=bursts([1.0, 3.2], 0.3)))
    video = Video(path, "part", ("a",), 1.5, ((2.5, 3.0),), start=1.5, end=3.0)
    found = decode_all(video)
    # 1.5 s at 16/30 s from timestamp to timestamp.
    assert len(found.images) == 3
    assert [read_index(image) for image in found.images] == [37, 50, 64]
    # The burst at 3.2 s is within the last window, but not within the segment.
    assert np.abs(found.samples).max() < 0.05
    assert np.abs(decode_all(Video(path, "x", ("a",), 2.5, ((1.5, 4.0),), start=1.5)).samples).max() > 0.3
    features = torch.zeros(3, 2)
    ok = torch.ones(3, dtype=torch.bool)
    assert VideoFeatures(video, features, features, ok, ok, 16 / 30).inside().tolist() == [False, False, True]
    late = Video(path, "late", ("a",), 1.0, ((9.0, 10.0),), start=9.0, end=10.0)
    assert "lasts 4.00 s, the segment begins at 9.00 s" in decode_all(late)


def test_silence_after_the_end():
    samples = np.ones((3, 10), np.float32)
    silence_after(samples, np.array([0.0, 0.5, 2.0]), 1.0, 10)
    assert samples.sum(axis=1).tolist() == [10, 5, 0]
    silence_after(samples, np.array([0.0, 0.5, 2.0]), None, 10)
    assert samples.sum() == 15


def test_a_file_that_is_shorter_than_its_manifest_says_ends_its_segment():
    video = Video("x", "x", ("a",), 5.0, ((0.0, 5.0),), start=1.0, end=6.0)
    assert segment_times(video, 2.0, 0.5).tolist() == [1.0, 1.5]


def test_sets_are_read_from_manifests_and_caches_follow_their_content(tmp_path):
    config = footage(tmp_path, a_mp4=b"a", b_mp4=b"b")
    assert [video.label for _, video in load_sets(config, ["own"])] == ["a", "b"]
    before = describe_set(config, "own")
    manifest = tmp_path / "manifest.jsonl"
    manifest.write_text(manifest.read_text().replace('"train"', '"test"', 1))
    assert len(load_sets(config, ["own"])) == 1
    assert describe_set(config, "own") != before
    with pytest.raises(InputError, match="no set 'other'"):
        load_sets(config, ["other"])
    with pytest.raises(ValueError, match="more than one set is called own"):
        Config("w", "p", sets=config.sets, reencode={"own": None})


def test_a_short_video_is_never_without_any_knot():
    features, yes = torch.ones(2, 3), torch.ones(2, dtype=torch.bool)
    silent = Track(features, torch.zeros(2, 3), yes, ~yes, yes, 0, 16 / 30)
    rng, settings = np.random.default_rng(0), SkimConfig()
    sparse = Density(image=9, audio=9, few_frames=True)
    drawn = [draw_knots(rng, silent, sparse, settings) for _ in range(100)]
    assert all(len(knotted.image_knots) and not len(knotted.audio_knots) for knotted in drawn)


def test_of_a_video_without_anything_the_skimmer_says_something_finite():
    nothing = torch.zeros(1, 1, 4)
    zero, one = torch.zeros(1, dtype=torch.long), torch.ones(1, dtype=torch.long)
    times = torch.zeros(1, 1)
    skimmer = SkimmingNetwork(3, features=4, fusion=5, keys=2, hidden=6)
    output = skimmer(SkimBatch(nothing, nothing, times, times, zero, zero, one, 0.5), 3)
    assert torch.isfinite(output.logits).all()
