"""Clips: pairs on disk, teacher, distillation, fine-tuning, and the table that compares them."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from l2l_engine.plan import MediaSettings
from tests.training.tiny import write_settings
from training.__main__ import main
from training.clips.augment import augment_clips
from training.clips.comparison import Variant, variants
from training.clips.distill import distill
from training.clips.finetune import epochs_for, finetune, labelled_rows
from training.clips.pairs import FRAMES, Pairs, PairSets, load_pairs
from training.clips.students import (
    STREAMS,
    Encoded,
    build_student,
    load_student,
    run_student,
    streams_of,
    views,
)
from training.clips.teach import load_teacher, run_teacher, start_from, teach, train_teacher
from training.config import StudentConfig
from training.learning.losses import class_loss
from training.learning.scores import Scored, average_precision, mean_average_precision, top1
from training.pages import render
from training.runs.arrays import read_arrays, write_arrays
from training.runs.checkpoint import Checkpoint
from training.tables.clips import clip_tables

TABLES = """
[render.source]
universe = "source"
seed = 1
count = 6
split = "clips"
config = "{folder}/clips.toml"

[render.target]
seed = 2
count = 6
split = "clips"
config = "{folder}/clips.toml"

[teacher]
train = ["source"]
validation = ["source"]
width = 0.0625
side = 28
words = true
pool = "max"
clips = 2
epochs = 2
batch = 4

[distill]
epochs = 2
batch = 4

[student]
train = ["target"]
validation = ["target"]
pairs = 2
epochs = 1
batch = 4

[clips]
test = "target"
shares = [0.5, 1.0]
teacher_epochs = 1
"""


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    """Two tiny rendered universes, of which one source video is damaged."""
    folder = tmp_path_factory.mktemp("clips")
    settings = write_settings(folder, TABLES)
    load_pairs(settings, ("source",))  # renders it
    (folder / "data/source/videos/00003.mp4").write_bytes(b"no video at all")
    return settings


@pytest.fixture(scope="module")
def trained(config):
    """The same, with the whole comparison trained."""
    path = str(config.folder("tiny.toml"))
    for command in ("teacher", "distill", "finetune", "clips"):
        assert main([command, "--config", path]) == 0
    return config


def test_a_pair_is_the_first_frame_of_its_clip(config):
    pairs = load_pairs(config, ("source",), count=3, side=28)
    assert pairs.clips.shape == (15, FRAMES, 32, 32, 3)
    assert pairs.images.shape == (15, 128, 128, 3)
    assert pairs.samples.shape == (15, 17600)
    shrunk = pairs.images.reshape(15, 32, 4, 32, 4, 3).mean(axis=(2, 4))
    assert abs(shrunk - pairs.clips[:, 0]).max() <= 0.5
    # Something moves, and the clips of a video are not one another.
    assert (pairs.clips[:, 0] != pairs.clips[:, -1]).any()
    assert (pairs.clips[0] != pairs.clips[1]).any()


def test_pairs_have_the_sizes_of_the_encoders(config):
    whole = load_pairs(config, ("source",), count=2, side=28)
    media = MediaSettings(short_side=64, crop=56, window=15600)
    small = load_pairs(config, ("source",), count=2, side=28, media=media)
    assert small.images.shape[1:] == (64, 64, 3)
    assert small.samples.shape[1] == 15600 + 1600
    # The same moments: pictures are the same made small, sound the same cut short.
    assert small.clips.shape == whole.clips.shape
    shrunk = whole.images.reshape(-1, 64, 2, 64, 2, 3).mean(axis=(2, 4))
    assert abs(shrunk - small.images).mean() < 4
    assert np.array_equal(small.samples[:, :15600], whole.samples[:, :15600])
    model = replace(config.model, image_side=56)
    assert load_pairs(replace(config, model=model), ("source",), count=2).media.short_side == 64
    student = build_student(replace(model, image="squeezenet1_1", image_width=1.0), len(small.classes))
    assert student.image.side == small.media.crop
    outputs = run_student(student, small, STREAMS["both"])
    assert outputs.logits.isfinite().all()


def test_a_damaged_video_is_named_and_left_out(config):
    pairs = load_pairs(config, ("source",), count=3, side=28)
    assert sorted(set(pairs.videos)) == [0, 1, 2, 4, 5]
    entries = [
        json.loads(line) for line in config.folder("data/source/manifest.jsonl").read_text().splitlines()
    ]
    said = [pairs.classes[row.argmax()] for row in pairs.labels]
    assert said == [entries[video]["label"] for video in pairs.videos]
    skipped = [
        path for path in config.folder("pairs").glob("source-*/skipped.json") if len(path.read_text()) > 3
    ]
    assert all("00003.mp4" in path.read_text() for path in skipped)
    assert skipped


def test_pairs_are_decoded_once(config, monkeypatch):
    before = load_pairs(config, ("source",), count=3, side=28)
    monkeypatch.setattr("training.clips.pairs.parallel_map", None)
    after = load_pairs(config, ("source",), count=3, side=28)
    assert np.array_equal(before.clips, after.clips)
    assert np.array_equal(before.labels, after.labels)


def test_arrays_get_their_name_only_when_they_are_complete(tmp_path):
    def parts():
        yield {"a": np.arange(6, dtype=np.int16).reshape(2, 3), "b": np.zeros((2, 0), np.float32)}
        if fail:
            raise OSError("disk full")
        yield {"a": np.full((1, 3), 7, np.int16), "b": np.zeros((1, 0), np.float32)}

    fail = True
    with pytest.raises(OSError, match="disk full"):
        write_arrays(tmp_path / "x", parts(), None)
    assert list(tmp_path.iterdir()) == []
    fail = False
    write_arrays(tmp_path / "x", parts(), None)
    arrays = read_arrays(tmp_path / "x")
    assert arrays["a"].tolist() == [[0, 1, 2], [3, 4, 5], [7, 7, 7]]
    assert arrays["b"].shape == (3, 0)
    with pytest.raises(ValueError, match="nothing to keep"):
        write_arrays(tmp_path / "y", [], None)


def test_a_clip_is_changed_alike_in_all_its_frames():
    still = torch.randint(0, 256, (6, 1, 40, 40, 3), dtype=torch.uint8).expand(-1, FRAMES, -1, -1, -1)
    changed = augment_clips(still, 32)
    assert changed.shape == (6, FRAMES, 32, 32, 3)
    assert (changed == changed[:, :1]).all()
    assert (changed[:, 0] != still[:, 0, 4:36, 4:36]).any(dim=(1, 2, 3)).all()


def random_pairs(clips=True):
    """Noise, but for light and dark: of a frame by class, and of a clip at the pace of its class."""
    rng = np.random.default_rng(0)
    kinds = np.arange(16) // 2 % 3
    light = np.arange(FRAMES) // np.array([1, 4, 99])[kinds][:, None] % 2
    seen = rng.integers(0, 20, (16, FRAMES, 32, 32, 3)) + 200 * light[:, :, None, None, None]
    return Pairs(
        images=rng.integers(0, 60, (16, 128, 128, 3), np.uint8)
        + (90 * kinds).astype(np.uint8)[:, None, None, None],
        samples=rng.integers(-9000, 9000, (16, 17600), np.int16),
        has_audio=np.arange(16) % 5 > 0,
        labels=np.eye(3, dtype=bool)[kinds],
        classes=("a", "b", "c"),
        videos=np.arange(16) // 2,
        clips=seen.astype(np.uint8) if clips else None,
    )


def test_a_share_of_the_labels_is_one_of_every_class_and_shares_are_nested():
    pairs = random_pairs()
    shares = [labelled_rows(pairs, share, seed=3) for share in (0.05, 0.5, 1.0)]
    # 3, 3 and 2 videos of the classes: one of each, then two, two and one.
    assert [len(rows) for rows in shares] == [6, 10, 16]
    assert set(shares[0]) < set(shares[1]) < set(shares[2])
    assert pairs.labels[shares[0]].any(axis=0).all()
    assert not np.array_equal(shares[0], labelled_rows(pairs, 0.05, seed=4))
    with pytest.raises(ValueError, match=r"student\.labels"):
        labelled_rows(pairs, 0.0, seed=3)


def test_fewer_labels_are_seen_more_often():
    assert [epochs_for(6, share) for share in (1.0, 0.25, 0.05)] == [6, 12, 27]


def test_losses_of_one_class_and_of_several():
    logits = torch.tensor([[0.0, np.log(3.0)]])
    one = class_loss(logits, torch.tensor([[False, True]]), multi_label=False)
    assert float(one) == pytest.approx(-np.log(0.75))
    both = class_loss(logits, torch.tensor([[True, True]]), multi_label=True)
    assert float(both) == pytest.approx(np.log(2) - np.log(0.75))
    smooth = class_loss(torch.tensor([[5.0]]), torch.tensor([[True]]), multi_label=True, smoothing=0.2)
    assert float(smooth) == pytest.approx(np.log1p(np.exp(-5)) + 0.1 * 5)


def test_views_are_the_expectation_of_modality_dropout():
    image, audio = torch.ones(4, 2), torch.full((4, 2), 2.0)
    has_audio = torch.tensor([True, False, True, True])
    batch = Encoded(image, audio * has_audio[:, None], has_audio)
    both, seen, heard = views(batch, STREAMS["both"], drop_image=0.2, drop_audio=0.4)
    assert (both.share, seen.share, heard.share) == pytest.approx((0.4, 0.4, 0.2 * 3 / 4))
    assert both.audio[:, 0].tolist() == [2, 0, 2, 2]
    assert not seen.audio.any()
    assert (heard.image.abs().sum(), heard.audio.shape) == (0, (3, 2))
    assert heard.rows.tolist() == has_audio.tolist()
    (alone,) = views(batch, STREAMS["image"], drop_image=0.2, drop_audio=0.4)
    assert alone.share == 1.0


def test_scores_by_hand():
    scores = np.array([0.9, 0.8, 0.7, 0.1], np.float32)
    # True ones are ranked first and third: (1/1 + 2/3) / 2.
    assert average_precision(scores, np.array([True, False, True, False])) == pytest.approx(5 / 6)
    # Equals are ranked together, whatever their order.
    tied = np.full(4, 0.5, np.float32)
    assert average_precision(tied, np.array([True, False, False, False])) == pytest.approx(1 / 4)
    table = np.stack([scores, 1 - scores, np.zeros(4, np.float32)], axis=1)
    truth = np.array([[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 1, 0]], bool)
    assert mean_average_precision(Scored(table, truth)) == pytest.approx(5 / 6)  # no third class occurs
    assert top1(Scored(table, truth)) == 0.75


def test_a_teacher_learns_and_starts_from_another(config, tmp_path):
    pairs = random_pairs()
    taught = replace(config, work=str(tmp_path), teacher=replace(config.teacher, epochs=20, rate=1e-2))
    metrics = train_teacher(taught, tmp_path / "first", PairSets(pairs, pairs))
    assert metrics["accuracy"] > 0.8
    short = replace(taught, teacher=replace(config.teacher, epochs=1, rate=1e-9))
    train_teacher(short, tmp_path / "second", PairSets(pairs, pairs), start=start_from(tmp_path / "first"))
    first, second = (load_teacher(taught, tmp_path / name)[0] for name in ("first", "second"))
    assert torch.allclose(first.layer4[1].conv2[0][0].weight, second.layer4[1].conv2[0][0].weight, atol=1e-6)
    assert not torch.allclose(first.fc.weight, second.fc.weight, atol=1e-2)


def test_pairs_without_clips_are_refused(config):
    with pytest.raises(ValueError, match="without their clips"):
        run_teacher(torch.nn.Identity(), random_pairs(clips=False), 28)


def test_distillation_comes_near_to_the_teacher(config, tmp_path, monkeypatch):
    monkeypatch.setattr("training.clips.teach.load_pairs", lambda *_, **__: random_pairs())
    settings = replace(
        config,
        work=str(tmp_path),
        teacher=replace(config.teacher, epochs=8, rate=1e-2),
        distill=replace(config.distill, epochs=12),
    )
    teach(settings)
    metrics = distill(settings)
    lines = [json.loads(line) for line in (tmp_path / "distilled/metrics.jsonl").read_text().splitlines()]
    assert len(lines) == 12
    assert lines[-1]["loss"] < lines[0]["loss"]
    assert metrics["distance"] < lines[0]["distance"]
    assert metrics["agreement"] > 0.6


def test_a_student_whose_features_are_no_teachers_is_refused(trained):
    with pytest.raises(ValueError, match=r"model\.features is 16"):
        distill(replace(trained, model=replace(trained.model, features=16)))


class KilledError(Exception):
    pass


def kill_after_a_save(monkeypatch):
    original = Checkpoint.save

    def save(self, state):
        original(self, state)
        raise KilledError

    monkeypatch.setattr(Checkpoint, "save", save)


@pytest.mark.parametrize(
    ("stage", "file"), [(teach, "teacher/teacher.safetensors"), (distill, "distilled/student.safetensors")]
)
def test_a_killed_stage_continues_to_the_same_weights(trained, tmp_path, monkeypatch, stage, file):
    resumed = replace(trained, work=str(tmp_path))
    for name in ("data", "pairs", *(["teacher"] if stage is distill else [])):
        (tmp_path / name).symlink_to(trained.folder(name))
    with monkeypatch.context() as patch:
        kill_after_a_save(patch)
        with pytest.raises(KilledError):
            stage(resumed)
    assert not (tmp_path / file).exists()
    stage(resumed)
    assert (tmp_path / file).read_bytes() == trained.folder(file).read_bytes()


def test_fine_tuning_starts_from_what_was_distilled(trained, tmp_path):
    still = replace(trained.student, rate=1e-9, epochs=1, weight_decay=0.0)
    found = {}
    for distilled in (True, False):
        finetune(replace(trained, student=replace(still, distilled=distilled)), tmp_path / str(distilled))
        found[distilled] = load_student(trained, tmp_path / str(distilled))[0]
    source, _ = load_student(trained, trained.folder("distilled"))
    assert torch.allclose(found[True].fusion[0].weight, source.fusion[0].weight, atol=1e-6)
    assert not torch.allclose(found[False].fusion[0].weight, source.fusion[0].weight, atol=1e-3)
    assert not torch.allclose(found[True].classifier.weight, source.classifier.weight, atol=1e-3)


def test_a_student_of_one_stream_ignores_the_other(trained):
    student, _ = load_student(trained, trained.folder("students", "image-distilled-100"))
    pairs = random_pairs()
    deaf = replace(pairs, samples=np.zeros_like(pairs.samples))
    seen, unheard = (run_student(student, p, STREAMS["image"]).logits for p in (pairs, deaf))
    assert torch.equal(seen, unheard)
    blank = replace(pairs, images=np.zeros_like(pairs.images))
    assert not torch.equal(seen, run_student(student, blank, STREAMS["image"]).logits)
    with pytest.raises(ValueError, match=r"student\.streams"):
        streams_of(replace(StudentConfig(), streams="nose"))


def test_the_runs_own_student_is_one_of_the_variants(config):
    assert Variant("both", True, 1.0).folder(config) == config.folder("student")
    names = [variant.name for variant in variants(config)]
    assert len(names) == len(set(names)) == 12
    assert "image-undistilled-50" in names


def test_the_clip_table_has_every_classifier(trained):
    report = json.loads(json.dumps(clip_tables(trained)))
    rows = {row["method"]: row for row in report["rows"]}
    assert list(rows) == [
        "teacher",
        "audio only, undistilled",
        "audio only, distilled",
        "image only, undistilled",
        "image only, distilled",
        "image-audio, undistilled",
        "image-audio, distilled",
    ]
    for row in rows.values():
        assert set(row["shares"]) == {"50", "100"}
        assert all(0 <= cell["top1"] <= 1 and 0 < cell["map"] <= 1 for cell in row["shares"].values())
    gmac = {name: row["gmac"] for name, row in rows.items()}
    assert gmac["image-audio, distilled"] > gmac["image only, distilled"] > 0
    assert rows["teacher"]["distance"] == 0
    assert rows["image-audio, undistilled"]["distance"] is None
    assert rows["image-audio, distilled"]["distance"] > 0
    helped = report["audio_helps"]["classes"]
    assert [item["nearer"] for item in helped] == sorted((i["nearer"] for i in helped), reverse=True)
    assert helped[0]["nearer"] == pytest.approx(helped[0]["image"] - helped[0]["both"])
    page = render("training/tables/clips.md.j2", clips=report)
    assert page.count("\n| image") == 4
    assert "not run" in render("training/tables/clips.md.j2", clips={})


def test_what_was_not_trained_is_said_to_be_missing(trained, tmp_path):
    for name in ("data", "pairs", "teacher", "distilled", "student"):
        (tmp_path / name).symlink_to(trained.folder(name))
    report = clip_tables(replace(trained, work=str(tmp_path)))
    rows = {row["method"]: row for row in report["rows"]}
    assert rows["image-audio, distilled"]["shares"]["50"] is None
    assert rows["image-audio, distilled"]["shares"]["100"] is not None
    assert rows["image only, distilled"]["distance"] is None
    assert report["audio_helps"] is None
    assert "| teacher | - | - |" in render("training/tables/clips.md.j2", clips=report)
