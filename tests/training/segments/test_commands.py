"""``segments`` and ``when`` on files: a plan learns when it is red and loud, and shows what it finds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from l2l_engine import Classifier
from l2l_engine.plan import read_plan, write_plan
from tests.api.graphs import audio_graph, image_graph
from tests.api.plans import DOCUMENT, random_skim
from tests.api.videos import write_video
from training.__main__ import main
from training.learning.detection import Stretch, overlap
from training.pages import ROOT, render
from training.segments.plans import bare
from training.segments.when import CLIP, KNOTS, OURS, PAGE, WHOLE, Costs, cost_rows, numbers

LABEL = DOCUMENT.classes[0]
EVENTS = {"train": ((2, 6), (8, 12), (5, 10)), "validation": ((3, 8), (7, 11)), "test": ((4, 9), (2, 5))}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Manifests of a few files each, 14 s long, and a plan that knows nothing of when."""
    root = tmp_path_factory.mktemp("segments")
    for name, events in EVENTS.items():
        lines = []
        (root / name).mkdir()
        for number, (start, end) in enumerate(events):
            write_video(root / name / f"{number}.mp4", seconds=14, event=(start, end), size=(64, 48), gop=20)
            entry = {"path": f"{number}.mp4", "label": LABEL, "duration": 14.0, "stretches": [[start, end]]}
            lines.append(json.dumps(entry) + "\n")
        (root / name / "manifest.jsonl").write_text("".join(lines))
    graphs = {"image.fp32": image_graph(), "audio.fp32": audio_graph()}
    write_plan(root / "in.plan", DOCUMENT, graphs=graphs, skim=random_skim())
    sets = ["--train", str(root / "train"), "--validation", str(root / "validation")]
    words = ["segments", "--plan", str(root / "in.plan"), *sets, "--output", str(root / "out.plan")]
    assert main(words) == 0
    return root


def test_the_plan_says_when_and_all_else_stays_as_it_was(folder):
    before, after = read_plan(folder / "in.plan"), read_plan(folder / "out.plan")
    assert after.graphs == before.graphs
    assert all(np.array_equal(after.skim[name], rows) for name, rows in before.skim.items())
    assert bare(after).document == before.document
    told = after.document.provenance["segments"]
    assert told["videos"] == {"train": 3, "validation": 2}
    assert told["validation"]["closer"]["map"]["0.5"] == 1
    with Classifier(folder / "in.plan") as one, Classifier(folder / "out.plan") as other:
        for number, (start, end) in enumerate(EVENTS["test"]):
            path = folder / "test" / f"{number}.mp4"
            plain, found = one.predict(path), other.predict(path)
            assert plain.segments is None
            assert np.array_equal(plain.probabilities, found.probabilities)
            segments = [segment for segment in found.segments if segment.label == LABEL]
            assert len(segments) == 1
            told = Stretch("", LABEL, start, end)
            assert overlap(told, Stretch("", LABEL, segments[0].start_s, segments[0].end_s)) > 0.5


def test_the_same_files_give_the_same_plan_and_features_are_computed_once(folder, capsys):
    kept = sorted((folder / "out.work").rglob("*.safetensors"))
    stamps = [path.stat().st_mtime_ns for path in kept]
    assert len(kept) == 3 + 2 + 2  # dense of both sets, and the validation videos as the plan samples them
    sets = ["--train", str(folder / "train"), "--validation", str(folder / "validation")]
    work = ["--work", str(folder / "out.work")]
    # A plan that has segments already is given others in their place.
    words = ["segments", "--plan", str(folder / "out.plan"), *sets, *work]
    assert main([*words, "--output", str(folder / "again.plan")]) == 0
    assert [path.stat().st_mtime_ns for path in kept] == stamps
    assert (folder / "again.plan").read_bytes() == (folder / "out.plan").read_bytes()


def test_the_page_is_made_from_a_plan_and_files_alone(folder, capsys):
    report = folder / "when"
    words = ["when", "--plan", str(folder / "out.plan"), "--test", str(folder / "test")]
    assert main([*words, "--report", str(report), "--name", "red and loud"]) == 0
    found = json.loads(report.with_suffix(".json").read_text())
    page = report.with_suffix(".md").read_text()
    assert page == render(PAGE, **found)
    assert "red and loud" in page
    assert found["stretches"] == 2
    assert found["rows"][OURS]["map"]["0.5"] == 1
    assert found["rows"][WHOLE]["map"]["0.5"] < 0.5
    assert found["costs"]["worst_share"] <= 1.5


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["segments", "--plan", "in.plan", "--output", "x.plan"], "--plan needs --train and --validation"),
        (["segments", "--plan", "in.plan", "--train", "train", "--validation", "validation"], "--output"),
        (["segments", "--plan", "in.plan", "--train", "no", "--validation", "no", "--output", "x"], "no"),
        (["segments"], "--config is missing"),
        (["when", "--plan", "in.plan", "--test", "test", "--report", "r"], "has no segments"),
        (["when", "--plan", "out.plan", "--test", "weak", "--report", "r"], "no entry says when"),
    ],
)
def test_what_cannot_be_done_is_said(folder, monkeypatch, capsys, words, message):
    monkeypatch.chdir(folder)
    weak = {"path": "../test/0.mp4", "label": LABEL, "duration": 14.0, "stretches": [[0, 14]]}
    (folder / "weak").mkdir(exist_ok=True)
    (folder / "weak" / "manifest.jsonl").write_text(json.dumps(weak) + "\n")
    with pytest.raises(SystemExit):
        main(words)
    assert message in capsys.readouterr().err


def test_videos_that_tell_nothing_are_refused(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    for name, change in (("clips", {"duration": 3.0}), ("others", {"label": "something else"})):
        lines = (folder / "train" / "manifest.jsonl").read_text().splitlines()
        entries = [json.loads(line) | change for line in lines]
        entries = [entry | {"path": f"../train/{entry['path']}", "stretches": [[0, 3]]} for entry in entries]
        (folder / name).mkdir(exist_ok=True)
        text = "".join(json.dumps(entry) + "\n" for entry in entries)
        (folder / name / "manifest.jsonl").write_text(text)
    words = ["segments", "--plan", "in.plan", "--output", "x.plan", "--train"]
    with pytest.raises(SystemExit):
        main([*words, "train", "--validation", "clips"])
    assert "the validation videos are clips" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main([*words, "others", "--validation", "validation"])
    assert "none of the labels of the training videos is a class" in capsys.readouterr().err


def test_numbers_by_hand():
    truth = [Stretch("a", "x", 2, 6), Stretch("b", "x", 3, 7)]
    good = [Stretch("a", "x", 2.25, 6, 0.9), Stretch("b", "x", 3, 7.5, 0.8)]
    poor = [Stretch("a", "x", 0, 20, 0.9), Stretch("b", "x", 0, 20, 0.9)]
    found = {OURS: good, KNOTS: good[:1], CLIP: poor, "attention, thresholded": poor, WHOLE: poor}
    report = numbers(found, truth, ["a", "b"])
    assert report["rows"][OURS]["map"] == {"0.3": 1, "0.5": 1, "0.7": 1}
    assert report["rows"][OURS]["median_edge_s"] == 0.125
    assert report["rows"][KNOTS]["map"]["0.5"] == 0.5
    assert report["rows"][CLIP]["map"]["0.5"] == 0
    assert report["rows"][CLIP]["median_edge_s"] is None
    assert report["differences"][CLIP]["0.5"]["points"] == 100
    assert report["differences"][KNOTS]["0.7"]["points"] == 50
    costs = cost_rows(Costs({OURS: [12, 10], KNOTS: [10, 10]}, {OURS: [0.3, 0.1], KNOTS: [0.2, 0.1]}))
    assert costs["frames_share"] == pytest.approx(1.1)
    assert costs["worst_share"] == pytest.approx(1.2)
    assert costs["seconds_share"] == pytest.approx(4 / 3)


@pytest.mark.parametrize("path", sorted((ROOT / "results").glob("*-when.json")), ids=lambda path: path.stem)
def test_the_committed_pages_are_made_of_the_numbers_beside_them(path):
    assert render(PAGE, **json.loads(path.read_text())) == path.with_suffix(".md").read_text()
