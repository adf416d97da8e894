"""What a killed evaluation leaves behind."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from training.config import Config, EvaluateConfig
from training.evaluation import evaluate
from training.evaluation.evaluate import PAGE, Outcome, by_knots_inside, predict_all
from training.pages import ROOT, render
from training.skimming.sequences import Track
from training.videos.manifest import Video


def outcome(video, _prediction=None):
    return Outcome(video.name, "ball", "ball", 0.9, True, 1.0, 1.0, 1.0, 1.0, 0.1)


@pytest.mark.parametrize("kept", [0, 1, 30])
def test_half_a_line_is_done_again(tmp_path, monkeypatch, kept):
    monkeypatch.setattr(evaluate, "judge", outcome)
    videos = [Video(Path(name), name, "ball", 1.0, ()) for name in "abc"]
    lines = [json.dumps(dataclasses.asdict(outcome(video))) + "\n" for video in videos]
    path, asked = tmp_path / "set.jsonl", []
    path.write_text(lines[0] + lines[1][:kept])
    found = predict_all(SimpleNamespace(predict=asked.append), videos, path)
    assert asked == [Path("b"), Path("c")]
    assert found == [outcome(video) for video in videos]
    assert path.read_text() == "".join(lines)


def track(inside, *, sound=True):
    n = len(inside)
    valid = torch.ones(n, dtype=torch.bool)
    rows = torch.zeros(n, 2)
    return Track(rows, rows, valid, valid & sound, torch.tensor(inside, dtype=torch.bool), 0, 16 / 30)


def test_accuracy_by_the_knots_that_hit_the_action():
    none, one, two = [0, 1, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 0]
    tracks = [track(none), track(one), track(one, sound=False), track(two), track(two)]
    right = np.array([[1, 0], [1, 1], [0, 0], [0, 1], [0, 1]], dtype=bool)
    assert by_knots_inside(tracks, right, factor=2, early=1) == [
        {"least": 0, "videos": 2, "early": 1.0, "top1": 0.5},
        {"least": 2, "videos": 2, "early": 0.0, "top1": 1.0},
    ]


def test_tables_need_no_plan(tmp_path, monkeypatch, capsys):
    wanted = EvaluateConfig(tables=str(tmp_path / "tables"))
    config = Config(work=str(tmp_path), plan=str(tmp_path / "none.plan"), evaluate=wanted)
    written = []
    monkeypatch.setattr(evaluate, "write_tables", lambda *arguments: written.append(arguments))
    assert evaluate.evaluate(config, ["again"]) == {}
    assert written == [(config, ["again"])]
    assert "none.plan: no such plan yet" in capsys.readouterr().out


@pytest.mark.parametrize("name", ["av-digits-end-to-end", "av-kinetic-demo"])
def test_committed_pages_are_made_of_the_numbers_beside_them(name):
    path = ROOT / "results" / f"{name}.json"
    assert render(PAGE, **json.loads(path.read_text())) == path.with_suffix(".md").read_text()
