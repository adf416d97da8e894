"""Checks what each view of a clip gives away: a single frame, the sound alone, 16 silent frames.

    python -m studies.honesty --train CLIPS --test OTHER_CLIPS --output results/av-kinetic-honesty.json

By design a frame tells the object and not the motion, the sound the motion and not the object, and only
16 frames tell both. Small classifiers trained on one set of clips and tested on another say whether it is so.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from l2l_engine.media import open_media
from studies.honesty_nets import ClipNet, FrameNet, SoundNet
from training.data.sets import SETTINGS
from training.data.universe import UNIVERSES, Universe
from training.videos.manifest import read_manifest

FRAMES, CLIP_SECONDS = 16, 16 / 30
SAMPLE_RATE = 16000
_SHORT_SIDE, _CROP = 64, 56  # the student's view at half its size
_BATCH = 32


@dataclass(frozen=True, slots=True)
class Clips:
    """One window of every clip.

    Attributes:
        frames: uint8 [P, 16, 56, 56, 3].
        samples: float32 [P, 16000].
        objects: int64 [P].
        motions: int64 [P].
    """

    frames: Tensor
    samples: Tensor
    objects: Tensor
    motions: Tensor


def load_clips(folder: Path, universe: Universe) -> Clips:
    """Decodes a window at a random time of every clip in ``folder``."""
    rng = np.random.default_rng(0)
    frames, samples, objects, motions = [], [], [], []
    for video in read_manifest(folder):
        start = rng.uniform(0.0, video.duration - 1.0)
        times = start + np.arange(FRAMES, dtype=np.float64) * (CLIP_SECONDS / FRAMES)
        with closing(open_media(video.path)) as source:
            frames.append(source.frames(times, short_side=_SHORT_SIDE, crop=_CROP).images)
            windows = source.audio_windows(times[:1], window=SAMPLE_RATE, sample_rate=SAMPLE_RATE)
        samples.append(windows.samples[0])
        kind, motion = video.label.split(" ")
        objects.append(universe.objects.index(kind))
        motions.append(universe.motions.index(motion))
    return Clips(
        torch.from_numpy(np.stack(frames)),
        torch.from_numpy(np.stack(samples)),
        torch.tensor(objects),
        torch.tensor(motions),
    )


@dataclass(frozen=True, slots=True)
class View:
    """What one classifier may perceive.

    Attributes:
        name: For the report.
        net: Makes the classifier from the numbers of objects and motions.
        show: Its input from clips and the rows wanted; ``train`` may change it at random.
        epochs: Passes over the training clips.
    """

    name: str
    net: Callable[[int, int], nn.Module]
    show: Callable[[Clips, Tensor, bool], Tensor]
    epochs: int


def _one_frame(clips: Clips, rows: Tensor, train: bool) -> Tensor:
    which = torch.randint(FRAMES, (len(rows),)) if train else torch.full((len(rows),), FRAMES // 2)
    return _mirrored(clips.frames[rows, which], train)


def _sound(clips: Clips, rows: Tensor, train: bool) -> Tensor:
    return clips.samples[rows]


def _all_frames(clips: Clips, rows: Tensor, train: bool) -> Tensor:
    return _mirrored(clips.frames[rows], train)


def _mirrored(frames: Tensor, train: bool) -> Tensor:
    """Half of the time left for right: neither object nor motion knows a side."""
    return frames.flip(-2) if train and torch.rand(()) < 0.5 else frames


VIEWS = (
    View("one frame", FrameNet, _one_frame, 30),
    View("sound", SoundNet, _sound, 12),
    View("16 silent frames", ClipNet, _all_frames, 20),
)


def train_view(view: View, clips: Clips, universe: Universe, epochs: int) -> nn.Module:
    """Trains the classifier of one view; both its answers count alike."""
    torch.manual_seed(0)
    net = view.net(len(universe.objects), len(universe.motions))
    steps = epochs * (len(clips.objects) // _BATCH)
    optimiser = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=3e-3, total_steps=max(steps, 1))
    net.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(clips.objects)).split(_BATCH):
            if len(rows) < _BATCH:
                continue
            # Half the time on a CPU that knows bfloat16.
            with torch.autocast("cpu", torch.bfloat16):
                objects, motions = net(view.show(clips, rows, True))
            loss = functional.cross_entropy(objects.float(), clips.objects[rows])
            loss = loss + functional.cross_entropy(motions.float(), clips.motions[rows])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.inference_mode()
def score_view(view: View, net: nn.Module, clips: Clips) -> dict[str, float]:
    """Shares of the clips whose object, motion and class (both) are told right."""
    right = []
    for rows in torch.arange(len(clips.objects)).split(_BATCH):
        objects, motions = net(view.show(clips, rows, False))
        right.append(
            torch.stack([objects.argmax(1) == clips.objects[rows], motions.argmax(1) == clips.motions[rows]])
        )
    told = torch.cat(right, dim=1)
    shares = {"object": told[0], "motion": told[1], "class": told.all(dim=0)}
    return {name: round(float(hits.float().mean()), 4) for name, hits in shares.items()}


def measure(train_folder: Path, test_folder: Path) -> dict[str, Any]:
    """The report: accuracies of every view, what they were measured on, and chance.

    Raises:
        ValueError: the sets are of different universes.
    """
    made = [
        json.loads((folder / SETTINGS).read_text(encoding="utf-8")) for folder in (train_folder, test_folder)
    ]
    if made[0]["universe"] != made[1]["universe"]:
        raise ValueError(f"{train_folder} and {test_folder} are of different universes")
    universe = UNIVERSES[made[0]["universe"]]
    train, test = load_clips(train_folder, universe), load_clips(test_folder, universe)
    views = {}
    for view in VIEWS:
        begun = time.perf_counter()
        net = train_view(view, train, universe, view.epochs)
        views[view.name] = score_view(view, net, test) | {"seconds": round(time.perf_counter() - begun, 1)}
        print(f"{view.name}: {views[view.name]}", file=sys.stderr, flush=True)
    objects, motions = len(universe.objects), len(universe.motions)
    return {
        "chance": {"object": 1 / objects, "motion": 1 / motions, "class": 1 / (objects * motions)},
        "views": views,
        "train": {"clips": len(train.objects)} | made[0],
        "test": {"clips": len(test.objects)} | made[1],
    }


def main(words: list[str] | None = None) -> int:
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m studies.honesty")
    parser.add_argument("--train", type=Path, required=True, help="folder of clips to train on")
    parser.add_argument("--test", type=Path, required=True, help="folder of clips made with another seed")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    arguments = parser.parse_args(words)
    report = measure(arguments.train, arguments.test)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
