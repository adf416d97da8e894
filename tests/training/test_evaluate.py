"""What a killed evaluation leaves behind."""

import dataclasses
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from training import evaluate
from training.evaluate import Outcome, predict_all
from training.manifest import Video


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
