"""Every stage for a few steps on tiny videos, from rendering to a report, and what a kill leaves behind."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from l2l_engine import Classifier
from tests.training.tiny import write_settings
from training.__main__ import main
from training.clips.finetune import finetune
from training.clips.pairs import Pairs, draw_times
from training.clips.students import load_student
from training.config import load_config
from training.runs.checkpoint import Checkpoint
from training.sampling.__main__ import main as compare_sampling
from training.skimming.build import load_skimmer
from training.skimming.features import extract_features
from training.skimming.measure import skim_tracks
from training.skimming.sequences import to_sequences
from training.skimming.train import train_skimmer

TABLES = """
[render.clips]
seed = 1
count = 16
split = "clips"
config = "{folder}/clips.toml"

[render.untrimmed]
seed = 2
count = 3
config = "{folder}/untrimmed.toml"

[reencode.again]
source = "untrimmed"
gop = 60

[student]
validation = ["clips"]
pairs = 2
epochs = 2
batch = 8

[skim]
train = ["untrimmed"]
validation = ["untrimmed"]
steps = 3
updates = 4
batch = 2
checkpoint_every = 2

[evaluate]
set = "untrimmed"
report = "{folder}/report"
tables = "{folder}/tables"
found = "{folder}/docs/found.md"

[sampling]
sets = ["untrimmed", "again"]
report = "{folder}/sampling-report"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A finished tiny run."""
    path = tmp_path_factory.mktemp("run")
    write_settings(path, TABLES)
    assert main(["all", "--config", str(path / "tiny.toml")]) == 0
    return path


def test_the_plan_classifies_a_video(folder):
    entry = json.loads((folder / "data/untrimmed/manifest.jsonl").read_text().splitlines()[0])
    with Classifier(folder / "tiny.plan") as classifier:
        prediction = classifier.predict(folder / "data/untrimmed" / entry["path"])
        document = classifier.plan.document
    assert document.classes == load_student(load_config(folder / "tiny.toml"))[1]
    assert len(document.calibration) == document.skim.steps == 3
    assert prediction.label in document.classes
    assert len(prediction.moments) == 2
    assert prediction.media.coverage == 1.0


def test_the_plan_says_what_the_trained_skimmer_says(folder):
    config = load_config(folder / "tiny.toml")
    classes = load_student(config)[1]
    track = to_sequences(extract_features(config, ["untrimmed"]), classes)[0]
    logits = skim_tracks(load_skimmer(config, len(classes)), [track], 3, config.factor).logits[0]
    knots = np.arange(0, len(track), config.factor)
    with Classifier(folder / "tiny.plan", precision="fp32") as classifier:
        for steps in (1, 3):
            prediction = classifier.predict_features(
                track.image[knots].numpy(),
                track.audio[knots].numpy(),
                image_times=config.skim.hop * knots,
                audio_times=config.skim.hop * knots,
                timestamps=config.skim.hop * np.arange(len(track)),
                steps=steps,
            )
            temperature = classifier.plan.document.temperature(steps)
            expected = (logits[steps - 1] / temperature).softmax(dim=0)
            np.testing.assert_allclose(prediction.probabilities, expected, rtol=1e-3, atol=1e-5)


def test_export_in_int8_says_what_it_costs(folder):
    plan = folder / "int8.plan"
    settings = ["--config", str(folder / "tiny.toml"), "--set", f"plan={plan}"]
    assert main(["export", *settings, "--precision", "fp32", "int8"]) == 0
    with Classifier(plan, precision="int8") as classifier:
        assert {"image.int8", "audio.int8"} <= classifier.plan.graphs.keys()
        said = classifier.plan.document.provenance["precisions"]
    assert said["int8"]["calibration"]["data"] == "training moments of clips, untrimmed"
    assert said["int8"]["calibration"]["image"] == said["int8"]["calibration"]["audio"] > 20
    assert said["fp32"]["logits_difference"] < 1e-3
    assert said["int8"]["videos"] == said["fp32"]["videos"] == 3
    assert 0 <= said["int8"]["top1"] <= 1


def test_evaluation_counts_what_the_plan_says(folder, capsys):
    assert main(["evaluate", "--config", str(folder / "tiny.toml")]) == 0
    report = json.loads((folder / "report.json").read_text())
    outcomes = [
        json.loads(line)
        for path in (folder / "evaluate").rglob("*.jsonl")
        for line in path.read_text().splitlines()
    ]
    assert len(outcomes) == 3
    right = sum(o["said"] == o["truth"] for o in outcomes)
    assert report["methods"]["ours"]["top1"] == pytest.approx(right / 3)
    assert report["attention"]["look_ratio"] == pytest.approx(np.median([o["look_ratio"] for o in outcomes]))
    assert len(report["curves"]["steps"]) == len(report["curves"]["calibration_errors"]) == 3
    assert sum(row["videos"] for row in report["curves"]["knots_inside"]) == 3
    printed = capsys.readouterr().out
    for page in (folder / "report.md", folder / "tables.md"):
        assert "python -m training evaluate --config" in page.read_text()
        assert page.read_text().strip() in printed
    check_tables(folder, report)


def check_tables(folder, end_to_end):
    """Cached features give what files through the plan gave, and what is missing is said to be."""
    tables = json.loads((folder / "tables.json").read_text())
    rows = {row["method"]: row for row in tables["video"]}
    for name in ("DENSE", "UNIFORM"):
        same = next(row for method, row in end_to_end["methods"].items() if method.startswith(name))
        assert rows[name]["top1"] == pytest.approx(same["top1"])
    assert [row["top1"] for row in tables["curves"]["steps"]["ours (sparse)"]] == end_to_end["curves"][
        "steps"
    ]
    assert rows["ours (sparse)"]["gmac"] < rows["DENSE"]["gmac"] / 4
    assert set(tables["policies"]) == {"untrimmed", "again"}
    page = (folder / "tables.md").read_text()
    assert "docs/found.md" in page
    for picture in tables["plots"].values():
        assert f"]({picture})" in page
        assert (folder / picture).stat().st_size < 500_000


def test_sampling_compares_policies_on_the_same_videos(folder):
    words = ["--config", str(folder / "tiny.toml"), "--only", "exact", "keyframes"]
    assert compare_sampling(words) == 0
    report = json.loads((folder / "sampling-report.json").read_text())
    for name in ("untrimmed", "again"):
        rows = report["sets"][name]
        assert list(rows) == ["exact", "keyframes"]
        assert all(row["videos"] == 3 for row in rows.values())
        assert rows["keyframes"]["frames_decoded"] < rows["exact"]["frames_decoded"]
    # Key frames are 60 frames apart: every 4 s of 30 s at 15 frames a second.
    assert report["sets"]["again"]["keyframes"]["image_knots"] == 8


def test_a_finished_stage_is_not_done_again(folder):
    before = (folder / "student/metrics.jsonl").read_text()
    weights = (folder / "student/student.safetensors").read_bytes()
    finetune(load_config(folder / "tiny.toml"))
    assert (folder / "student/metrics.jsonl").read_text() == before
    assert (folder / "student/student.safetensors").read_bytes() == weights


def random_pairs(*_args):
    rng = np.random.default_rng(0)
    return Pairs(
        rng.integers(0, 256, (16, 128, 128, 3), np.uint8),
        rng.integers(-9000, 9000, (16, 17600), np.int16),
        np.arange(16) % 5 > 0,
        np.eye(3, dtype=bool)[np.arange(16) % 3],
        ("a", "b", "c"),
        np.arange(16) // 2,
    )


class KilledError(Exception):
    pass


def kill_after(monkeypatch, saves):
    """Stop the run right after its ``saves``-th checkpoint."""
    original, count = Checkpoint.save, iter(range(saves))

    def save(self, state):
        original(self, state)
        if next(count) == saves - 1:
            raise KilledError

    monkeypatch.setattr(Checkpoint, "save", save)


def test_a_killed_student_continues_to_the_same_weights(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("training.clips.finetune.load_pairs", random_pairs)
    config = load_config(folder / "tiny.toml")
    straight = replace(config, work=str(tmp_path / "straight"))
    finetune(straight)
    resumed = replace(config, work=str(tmp_path / "resumed"))
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KilledError):
            finetune(resumed)
    finetune(resumed)
    first, second = load_student(straight)[0].state_dict(), load_student(resumed)[0].state_dict()
    for name, value in first.items():
        assert torch.equal(value, second[name]), name


def test_a_killed_skimmer_continues_to_the_same_weights(folder, tmp_path, monkeypatch):
    config = load_config(folder / "tiny.toml")
    resumed = replace(config, work=str(tmp_path))
    for name in ("data", "student", "features"):
        (tmp_path / name).symlink_to(folder / name)
    with monkeypatch.context() as patch:
        kill_after(patch, 1)
        with pytest.raises(KilledError):
            train_skimmer(resumed)
    train_skimmer(resumed)
    path = "skim/skimmer.safetensors"
    assert (tmp_path / path).read_bytes() == (folder / path).read_bytes()


def test_other_settings_begin_anew(tmp_path):
    Checkpoint(tmp_path, {"rate": 1}).load()
    Checkpoint(tmp_path, {"rate": 1}).save({"epoch": 3})
    assert Checkpoint(tmp_path, {"rate": 1}).load() == {"epoch": 3}
    assert Checkpoint(tmp_path, {"rate": 2}).load() is None
    assert Checkpoint(tmp_path, {"rate": 1}).load() is None


def test_pairs_are_drawn_inside_the_stretches():
    times = draw_times(np.random.default_rng(0), [(2.0, 6.0), (10.0, 13.0)], 50)
    assert (np.diff(times) > 0).all()
    assert (((times >= 2) & (times < 5.3)) | ((times >= 10) & (times < 12.3))).all()
    assert (times > 10).sum() == pytest.approx(50 * 2.3 / 5.6, abs=2)
