"""A folder of phone-like clips to a plan by the real command; what is wrong with any of it is told."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from tests.media.makers import bursts, media
from training.__main__ import STAGES, STUDIES, main
from training.commands import ABOUT
from training.config import SkimConfig
from training.errors import InputError
from training.journey.alike import Alike
from training.journey.choices import choose, held_out, survey
from training.journey.footage import Wanted, list_footage, regroup, write_entries
from training.videos.manifest import read_manifest

CLASSES = ("café au lait", "dog run", "日本")
TINY = {
    "student.epochs": 4,
    "student.pairs": 2,
    "skim.updates": 6,
    "skim.checkpoint_every": 2,
    "skim.batch": 4,
    "model.image_width": 0.125,
    "model.audio_width": 0.125,
    "model.features": 32,
    "model.fusion": 24,
    "model.keys": 8,
    "model.hidden": 16,
    "threads": 1,
    "workers": 0,
}
SETTINGS = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
KINDS = (
    ("mp4", {}),
    ("mp4", {"audio": None}),
    ("mov", {"rotation": 90, "container": "mov"}),
    ("webm", {"container": "webm", "video": "libvpx-vp9", "audio": "libopus", "rate": 15}),
)


def clip(number, kind, size=(96, 72)):
    """10 s that no other number has, with bursts of sound."""
    rate = kind.get("rate", 10)
    shown = [(number * 311 + i) % 65536 for i in range(10 * rate)]
    sound = bursts(np.arange(0.0, 10.0, 0.4 + 0.1 * (number % 7)), 0.1)
    settings = {"rate": rate, "frames": len(shown), "indices": shown, "size": size, "sound": sound}
    return media(**(settings | kind))


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    root = tmp_path_factory.mktemp("own") / "my clips"
    for row, label in enumerate(CLASSES):
        (root / label).mkdir(parents=True)
        for column, (suffix, kind) in enumerate(KINDS):
            size = (72, 96) if column == row else (96, 72)
            (root / label / f"clip {column}.{suffix}").write_bytes(clip(10 * row + column, kind, size))
    whole = clip(90, {})
    (root / CLASSES[1] / "cut short.mp4").write_bytes(whole[: len(whole) // 2])
    (root / "only one").mkdir()
    (root / "only one" / "x.mp4").write_bytes(clip(91, {"audio": None}))
    (root / CLASSES[0] / ".hidden.mp4").write_bytes(b"")
    (root / CLASSES[0] / "list.txt").write_text("no video")
    return root


@pytest.fixture(scope="module")
def made(footage):
    """The plan's path; the command has ended well."""
    plan = footage.parent / "engine.plan"
    assert main(["all", "--data", str(footage), "--output", str(plan), *SETTINGS]) == 0
    return plan


def test_the_plan_classifies_a_held_out_clip(made):
    held = read_manifest(made.with_suffix(".work") / "footage", "test")
    assert {video.label for video in held} == set(CLASSES)
    with Classifier(made) as classifier:
        assert classifier.class_names == tuple(sorted((*CLASSES, "only one")))
        said = {str(video.path): classifier.predict(video.path).label for video in held}
    report = json.loads(made.with_suffix(".report.json").read_text())
    assert {answer["video"]: answer["said"] for answer in report["held_out"]["answers"]} == said


def test_the_report_says_what_was_skipped_and_how_good_the_plan_is(made, footage):
    report = json.loads(made.with_suffix(".report.json").read_text())
    found = report["footage"]
    assert (found["listed"], found["kept"], found["without_sound"]) == (14, 13, 4)
    assert [Path(path).name for path in found["unreadable"]] == ["cut short.mp4"]
    assert [Path(path).name for path in found["no_media"]] == ["list.txt"]
    assert found["classes"] == {"only one": {"train": 1}} | {c: {"train": 3, "test": 1} for c in CLASSES}
    score = report["held_out"]
    assert (score["videos"], score["chance"], score["majority"]) == (3, 1 / 4, 1 / 3)
    assert score["right"] == sum(answer["said"] == answer["label"] for answer in score["answers"])
    assert score["top1"] == score["right"] / 3
    assert score["low"] <= score["top1"] <= score["high"]
    assert {"teacher", "distill", "render", "recogniser", "segments"} == set(report["stages_skipped"])
    assert {"prepare", "finetune", "features", "skim", "export", "score"} == set(report["seconds"])
    page = made.with_suffix(".report.md").read_text()
    assert "never tested: only one" in page
    assert "cut short.mp4" in page
    assert "l2l predict" in page


def run_until(command, path, *, done):
    """Run a command, and kill it once ``path`` is there; ``done`` must not be there yet."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        while not path.exists():
            assert process.poll() is None, process.stderr.read().decode()
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    assert done is None or not done.exists()


@pytest.mark.nightly
@pytest.mark.slow
def test_kill_9_in_both_trainings_leaves_the_same_weights(made, footage, tmp_path):
    before = made.with_suffix(".work")
    for name in ("footage", "pairs"):
        shutil.copytree(before / name, tmp_path / name)
    command = [sys.executable, "-m", "training", "all", "--data", str(footage), *SETTINGS]
    command += ["--output", str(tmp_path / "engine.plan"), "--work", str(tmp_path)]
    student, skimmer = tmp_path / "student/student.safetensors", tmp_path / "skim/skimmer.safetensors"
    run_until(command, tmp_path / "student/checkpoint.pt", done=student)
    run_until(command, tmp_path / "skim/checkpoint.pt", done=skimmer)
    run_until(command, skimmer, done=None)
    for path in (student, skimmer):
        assert path.read_bytes() == (before / path.relative_to(tmp_path)).read_bytes()


def manifest(folder, *videos, **streams):
    """A manifest of (labels, split) videos, of which no file exists."""
    entry = {"path": "x.mp4", "duration": 10.0, "has_audio": True, "has_video": True} | streams
    lines = [json.dumps(entry | {"labels": list(labels), "split": split}) for labels, split in videos]
    (folder / "manifest.jsonl").write_text("\n".join(lines))
    return folder / "manifest.jsonl"


@pytest.mark.parametrize(
    ("splits", "expected"),
    [
        (["train"], {"validation": "train"}),
        (["train", "test"], {"validation": "test", "test": "test"}),
        (["train", "validation"], {"validation": "validation", "test": "validation"}),
        (["train", "validation", "test"], {"validation": "validation", "test": "test"}),
    ],
)
def test_what_is_held_out_tells_the_score(tmp_path, splits, expected):
    videos = [(label, split) for label in "ab" for split in splits]
    assert held_out(survey(manifest(tmp_path, *videos))) == expected


def test_nothing_is_chosen_by_a_test_that_was_given(tmp_path):
    footage = survey(manifest(tmp_path, *[(label, split) for label in "ab" for split in ("train", "test")]))
    assert held_out(replace(footage, given=True)) == {"validation": "train", "test": "test"}


def test_a_folder_of_background_is_no_answer_and_makes_a_plan_for_long_files(tmp_path):
    footage = survey(manifest(tmp_path, ("a", "train"), ("b", "train"), (("_background_",), "train")))
    assert (footage.background, footage.untrimmed) == (("_background_",), True)
    assert "never an answer" in footage.reasons[0]
    with pytest.raises(InputError, match="1 class to learn"):
        survey(manifest(tmp_path, ("a", "train"), (("background",), "train")))


@pytest.mark.parametrize(("seconds", "untrimmed"), [(10.0, False), (29.0, False), (90.0, True)])
def test_long_files_to_be_tested_on_make_a_plan_for_long_files(tmp_path, seconds, untrimmed):
    path = manifest(tmp_path, *[(label, split) for label in "ab" for split in ("train", "test")])
    entries = [json.loads(line) for line in path.read_text().splitlines()]
    for entry in entries:
        entry["duration"] = seconds if entry["split"] == "test" else 10.0
    path.write_text("\n".join(map(json.dumps, entries)))
    assert survey(path).untrimmed == untrimmed
    assert survey(path, untrimmed=True).untrimmed


def listing(folder, entries, **options):
    rows = [
        {"path": f"/x/{name}.mp4", "name": name, "labels": [name[0]], "duration": 10.0, "split": "train"}
        | more
        for name, more in entries.items()
    ]
    write_entries(folder / "manifest.jsonl", rows)
    return list_footage(Wanted(folder / "manifest.jsonl", folder / "footage", **options))


def test_folds_of_a_column_and_folds_that_are_asked_for(tmp_path):
    names = [f"{label}{n}" for label in "ab" for n in range(6)]
    dealt = listing(tmp_path, {name: {} for name in names}, folds=3)
    assert set(dealt.folds.values()) == {"1", "2", "3"}
    column = listing(tmp_path, {name: {"fold": name[1]} for name in names}, folds=3)
    assert column.folds == {name: name[1] for name in names}
    assert "--folds changes nothing" in column.notes[0]
    given = listing(
        tmp_path, {name: {"split": "test" if name[1] == "0" else "train"} for name in names}, folds=3
    )
    assert given.folds == {}
    assert "Folds are off" in given.notes[0]
    with pytest.raises(InputError, match="--folds 1"):
        listing(tmp_path, {name: {} for name in names}, folds=1)
    with pytest.raises(InputError, match="two folds"):
        listing(tmp_path, {name: {"group": "one"} for name in names}, folds=3)


def test_sources_that_annotations_tear_apart_are_named(tmp_path):
    names = {
        "a1": {"group": "walk"},
        "a2": {"group": "walk", "split": "test"},
        "b1": {},
        "b2": {"split": "test"},
    }
    assert (
        "1 sources stand on both sides, as the footage was given (walk)" in listing(tmp_path, names).notes[0]
    )


def test_near_duplicates_are_put_on_one_side_where_we_part_the_footage(tmp_path):
    names = {f"{label}{n}": {} for label in "ab" for n in range(10)}
    found = listing(tmp_path, names)
    found.ours = True
    alike = Alike([["a1", "a2", "a3"], ["b4", "b5"]], [["b6", "b7", "b8"]])
    regroup(found, alike, 0)
    sides = {}
    for entry in found.entries():
        sides.setdefault(entry["group"], set()).add(entry["split"])
    assert {"train", "test"} <= {side for found in sides.values() for side in found}
    assert all(len(found) == 1 for found in sides.values())
    assert len(sides) == 17
    assert (len(found.alike), found.doubted) == (2, 3)
    folds = listing(tmp_path, names, folds=4)
    regroup(folds, alike, 4)
    assert len({folds.folds[name] for name in ("a1", "a2", "a3")}) == 1


def test_more_footage_is_seen_less_often(tmp_path):
    few = choose(survey(manifest(tmp_path, *[(label, "train") for label in "ab"] * 10)))
    many = choose(survey(manifest(tmp_path, *[(label, "train") for label in "ab"] * 5000)))
    assert few["student"]["epochs"] > many["student"]["epochs"]
    assert few["student"]["pairs"] > many["student"]["pairs"]
    assert few["skim"]["updates"] < many["skim"]["updates"]


@pytest.mark.parametrize("missing", ["nothing", "has_audio", "has_video"])
def test_pictures_are_paired_with_sound_where_there_is_any(tmp_path, missing):
    streams = {} if missing == "nothing" else {missing: False}
    chosen = choose(survey(manifest(tmp_path, ("a", "train"), ("b", "train"), **streams)))
    skim = SkimConfig(preset=chosen["skim"]["preset"], modalities=tuple(chosen["skim"]["modalities"]))
    assert skim.preset == ("paired" if missing == "nothing" else "paper")


def test_one_class_cannot_be_told_from_nothing(tmp_path):
    with pytest.raises(InputError, match="1 class to learn"):
        survey(manifest(tmp_path, ("a", "train"), ("a", "test")))


def test_every_command_says_what_it_reads_and_writes(capsys):
    assert ABOUT.keys() == {
        *(*STAGES, *STUDIES, "all", "evaluate", "prepare"),
        *("starter", "import-released", "when", "unknown"),
    }
    for name in ABOUT:
        with pytest.raises(SystemExit) as end:
            main([name, "--help"])
        assert end.value.code == 0
        said = capsys.readouterr().out
        assert "--" in said
        assert "write" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["skim"], "--config is missing"),
        (["skim", "--config", "nowhere.toml"], "nowhere.toml"),
        (["all"], "--config is missing, or --data"),
        (["all", "--data", "nowhere"], "--data needs --output"),
        (["all", "--data", "nowhere", "--output", "x.plan"], "nowhere: is no folder"),
        (["prepare", "--data", "nowhere", "--output", "x"], "nowhere: is no folder"),
        (["prepare", "--data", ".", "--output", "x", "--layout", "csv"], "give the CSV file"),
        (["prepare", "--data", ".", "--output", "x", "--layout", "tree"], "invalid choice: 'tree'"),
        (["export", "--random"], "--random needs --output"),
        (["cook"], "invalid choice: 'cook'"),
    ],
)
def test_wrong_input_is_one_line_and_status_2(words, message, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    said = capsys.readouterr().err
    assert message in said
    assert said.count("\n") == 1


def test_a_wrong_setting_for_own_footage_is_one_line(made, footage, capsys):
    words = ["all", "--data", str(footage), "--output", str(made), "--set", "student.epoch=3"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == 2
    assert "no such setting" in capsys.readouterr().err
