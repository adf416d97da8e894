"""How good a skimmer is on whole videos: its answers after every step, and where its attention goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from training.learning.scores import Scored, mean_average_precision
from training.models import SkimmingNetwork, Student
from training.skimming.sequences import Track, collate, fixed_knots, targets, truth


@dataclass(slots=True)
class Skimmed:
    """What the skimmer says about a set: logits [V, T, C] after each step, labels, attention ratios."""

    logits: Tensor
    labels: Tensor
    look_ratio: list[float]
    listen_ratio: list[float]


@torch.inference_mode()
def skim_tracks(skimmer: SkimmingNetwork, tracks: Sequence[Track], steps: int, factor: int) -> Skimmed:
    """Skim whole videos at every ``factor``-th timestamp."""
    skimmer.eval()
    device = next(skimmer.parameters()).device
    logits, look, listen = [], [], []
    for start in range(0, len(tracks), 32):
        items = [fixed_knots(track, factor) for track in tracks[start : start + 32]]
        output = skimmer(collate(items).to(device), steps)
        inside = truth(items)[1].to(device)
        logits.append(skimmer.step_logits(output).cpu())
        for number, item in enumerate(items):
            n = len(item.track)
            if len(item.image_knots):
                look.append(attention_ratio(output.image_attention[number, :-1, :n], inside[number, :n]))
            if len(item.audio_knots) and "audio" in skimmer.modalities:
                listen.append(attention_ratio(output.audio_attention[number, :-1, :n], inside[number, :n]))
    labels = torch.tensor([track.label for track in tracks])
    return Skimmed(torch.cat(logits), labels, look, listen)


def attention_ratio(attention: Tensor, inside: Tensor) -> float:
    """Divide the attention [T-1, N] inside the action by the action's share of the timestamps."""
    if len(attention) == 0 or not inside.any():
        return math.nan
    return float(attention[:, inside].sum(dim=1).mean() / inside.float().mean())


def measure(
    skimmer: SkimmingNetwork, tracks: Sequence[Track], steps: int, factor: int, *, several: bool = False
) -> dict[str, float]:
    """Return top-1 (with several labels: mAP too) after 3 and all steps, and the median attention ratios."""
    skimmed = skim_tracks(skimmer, tracks, steps, factor)
    early = min(2, steps - 1)
    metrics: dict[str, float] = {}
    for name, logits in (("", skimmed.logits[:, -1]), ("_3_steps", skimmed.logits[:, early])):
        quality = rate(logits, tracks, several=several)
        metrics |= {f"{key}{name}": value for key, value in quality.items()}
    for name, ratios in (("look_ratio", skimmed.look_ratio), ("listen_ratio", skimmed.listen_ratio)):
        known = [ratio for ratio in ratios if not math.isnan(ratio)]
        if known:
            metrics[name] = float(np.median(known))
    return metrics


def rate(scores: Tensor, tracks: Sequence[Track], *, several: bool = False) -> dict[str, float]:
    """Return how often the greatest of C scores [V, C] is at a label, and with several labels the mAP."""
    labels = targets(tracks, scores.shape[1])
    right = labels.gather(1, scores.argmax(dim=1, keepdim=True)).float().mean()
    if not several:
        return {"top1": float(right)}
    scored = Scored(scores.numpy(), labels.numpy())
    return {"top1": float(right), "map": mean_average_precision(scored)}


@torch.inference_mode()
def dense_accuracy(student: Student, tracks: Sequence[Track], *, several: bool = False) -> float:
    """Return top-1 of DENSE: the student's class scores averaged over all timestamps."""
    means = []
    for track in tracks:
        logits = student.classify(track.image, track.audio * track.audio_valid[:, None])
        means.append((logits.sigmoid() if several else logits.softmax(dim=1)).mean(dim=0))
    return rate(torch.stack(means), tracks)["top1"]
