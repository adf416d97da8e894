"""The honesty check: that it reads what it says, counts right, and would find a leak."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import nn

from studies.honesty import VIEWS, Clips, load_clips, main, measure, score_view, train_view
from training.data.sets import render_one, render_set
from training.data.synth import Job
from training.data.synth import main as render
from training.data.synth_config import SynthConfig
from training.data.universe import UNIVERSES

pytestmark = pytest.mark.nightly

TARGET = UNIVERSES["target"]
FRAME, SOUND, CLIP = VIEWS


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("honesty") / "clips"
    small = SynthConfig(
        sizes=((160, 120),), fps=("30",), presets=("ultrafast",), silent_share=0.0, offset_share=0.0
    )
    job = Job(2, "clips", "target", small)
    (output / "videos").mkdir(parents=True)
    for index in range(32):
        render_one(job, index, output)
    assert list(render_set(job, 32, output, 1)) == [32]
    return output


def blank(count: int) -> Clips:
    """Clips that show and sound like nothing, objects and motions in turns."""
    numbers = torch.arange(count)
    frames = torch.full((count, 16, 56, 56, 3), 128, dtype=torch.uint8)
    return Clips(frames, torch.zeros(count, 16000), numbers % 4, numbers // 4 % 4)


class Always(nn.Module):
    """Says object 1 and motion 2."""

    def forward(self, shown: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.eye(4)[1].expand(len(shown), 4), torch.eye(4)[2].expand(len(shown), 4)


def test_clips_are_read_as_labelled(folder: Path) -> None:
    clips = load_clips(folder, TARGET)
    assert clips.frames.shape == (32, 16, 56, 56, 3)
    assert clips.samples.shape == (32, 16000)
    entries = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    named = [
        f"{TARGET.objects[o]} {TARGET.motions[m]}" for o, m in zip(clips.objects, clips.motions, strict=True)
    ]
    assert named == [entry["label"] for entry in entries]
    assert (clips.frames[:, 0] != clips.frames[:, 8]).flatten(1).any(dim=1).all()
    assert (clips.samples.abs().amax(dim=1) > 0.05).all()


def test_a_class_is_right_when_object_and_motion_are() -> None:
    clips = blank(64)
    assert score_view(FRAME, Always(), clips) == {"object": 0.25, "motion": 0.25, "class": 0.0625}


def test_a_single_frame_cannot_see_the_other_fifteen() -> None:
    clips = blank(4)
    moved = clips.frames.clone()
    moved[:, :8] = 0
    moved[:, 9:] = 255
    rows = torch.arange(4)
    assert torch.equal(FRAME.show(clips, rows, False), FRAME.show(replace(clips, frames=moved), rows, False))
    assert CLIP.show(clips, rows, False).shape == (4, 16, 56, 56, 3)


def test_training_finds_leaks() -> None:
    """Frames that give the motion away by a mark, sounds that give the object away by their pitch."""
    clips = blank(32)
    for row in range(32):
        clips.frames[row, :, : 6 * (clips.motions[row] + 1), :8] = 255
        clips.samples[row] = 0.3 * torch.sin(torch.arange(16000) * 0.1 * (1 + clips.objects[row]))
    told = score_view(FRAME, train_view(FRAME, clips, TARGET, 30), clips)
    assert told["motion"] > 0.9
    assert told["object"] < 0.5
    told = score_view(SOUND, train_view(SOUND, clips, TARGET, 30), clips)
    assert told["object"] > 0.9
    assert told["motion"] < 0.5


def test_the_report_says_what_was_measured(folder: Path, tmp_path: Path, monkeypatch) -> None:
    from studies import honesty

    monkeypatch.setattr(honesty, "VIEWS", tuple(replace(view, epochs=1) for view in VIEWS))
    output = tmp_path / "results" / "honesty.json"
    assert main(["--train", str(folder), "--test", str(folder), "--output", str(output)]) == 0
    report = json.loads(output.read_text())
    assert set(report["views"]) == {"one frame", "sound", "16 silent frames"}
    assert report["chance"] == {"object": 0.25, "motion": 0.25, "class": 0.0625}
    assert report["train"]["seed"] == 2
    assert report["test"]["clips"] == 32
    for shares in report["views"].values():
        assert all(0 <= shares[name] <= 1 for name in ("object", "motion", "class"))


def test_a_set_of_another_universe_is_refused(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "source"
    assert render(["--seed", "1", "--count", "0", "--universe", "source", "--output", str(other)]) == 0
    with pytest.raises(ValueError, match="universe"):
        measure(folder, other)
