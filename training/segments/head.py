"""Learns the head of moments: what each moment says for each class, from weak labels or from exact ones.

    logit_jc = w_c h_j + b_c,   h_j = ReLU(W_0 [z_j^I, z_j^A] + b_0)

Where it is known what happens at a moment, its cross-entropy is the loss. Where a video has a label and
nobody said when, the cross-entropy of a soft maximum over the moments at which it may happen is
(multiple-instance learning, as preset ``evidence`` does): log mean exp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from l2l_engine.plan import Plan, runnable_weights
from l2l_engine.skim.moments import fused_rows
from training.segments.banks import Banks
from training.segments.truth import moments_of
from training.skimming.sequences import few_knots, random_knots
from training.videos.manifest import Video

DECAYS = (1e-5, 3e-4)
"""Weights of the squared weights that are tried."""

_SHARPNESS = 4.0
"""Of the soft maximum over moments: one of many that is sure is nearly enough."""
_MOST = 300_000
"""Moments learnt from: more would take memory, and teach a linear layer nothing."""
_VIEWS = 4
"""Times a video is sampled anew, at most; the first has every timestamp."""
_FACTORS = (1, 2, 3, 5, 5)
_DROP = 0.05
"""Share of views that lose the pictures, and as many the sound."""

Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Head:
    """A linear layer on the fusion's hidden numbers: weight float32 [C, F], bias float32 [C]."""

    weight: Floats
    bias: Floats

    def logits(self, rows: Floats) -> NDArray[np.float64]:
        """Return [N, C] of rows h_j [N, F]."""
        found: NDArray[np.float64] = rows.astype(np.float64) @ self.weight.T.astype(np.float64) + self.bias
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """Moments of many views of videos, one after the other.

    Attributes:
        rows: float32 [R, F].
        happens, known: bool [R, C].
        view: int64 [R], the number of the view that a moment is of.
        labels: bool [V, C], what happens anywhere in a view.
    """

    rows: Tensor
    happens: Tensor
    known: Tensor
    view: Tensor
    labels: Tensor


def hidden_rows(plan: Plan) -> Callable[[Banks], Floats]:
    """Return what gives h_j float32 [N, F] of banks at their timestamps."""
    weights = runnable_weights(plan.document, plan.skim)
    return lambda banks: fused_rows(weights, banks.rows("image"), banks.rows("audio"), banks.timestamps)


def clip_head(plan: Plan) -> Head:
    """Return the plan's own classifier as a head of moments: what it says of a file that is one moment."""
    weights = {name: np.asarray(rows, np.float64) for name, rows in plan.skim.items()}
    classifier, second = weights["classifier.weight"], weights["fusion.1.weight"]
    bias = classifier @ weights["fusion.1.bias"] + weights["classifier.bias"]
    return Head((classifier @ second).astype(np.float32), bias.astype(np.float32))


def sampled(banks: Banks, rng: np.random.Generator) -> Banks:
    """Return dense banks as a file's might be: knots wide apart, irregular, close; now and then no sound."""
    draw = rng.random()
    factors = rng.choice(_FACTORS, 2)
    together = bool(rng.random() < 0.5)
    found = banks
    for number, modality in enumerate(("image", "audio")):
        rows = banks.rows(modality)
        if rows is None:
            continue
        count = len(rows[0])
        if modality == "image" and rng.random() < 0.15:
            chosen = few_knots(rng, count)
        else:
            chosen = random_knots(rng, count, int(factors[0 if together else number]))
        found = found.take(modality, chosen if len(chosen) else np.arange(count))
    both = found.rows("image") is not None and found.rows("audio") is not None
    if both and draw < 2 * _DROP:
        found = found.having("image" if draw < _DROP else "audio", None, None)
    return found


def collect(
    plan: Plan,
    videos: Sequence[Video],
    banks: Mapping[str, Banks],
    *,
    views: int | None = None,
    seed: int = 0,
) -> Sample:
    """Return moments to learn from.

    Args:
        plan: Says what a moment is, and the classes.
        videos: Those that ``banks`` lacks are left out.
        banks: Dense, by name.
        views: Times each video is sampled; as many as memory allows by default.
        seed: Draws knots, and the videos where there are too many.
    """
    rng = np.random.default_rng(seed)
    hidden, classes = hidden_rows(plan), plan.document.classes
    there = [video for video in videos if video.name in banks]
    total = sum(len(banks[video.name].timestamps) for video in there)
    views = max(1, min(_VIEWS, _MOST // max(1, total))) if views is None else views
    if total > _MOST:
        there = [
            there[number] for number in rng.permutation(len(there))[: max(1, len(there) * _MOST // total)]
        ]
    rows, happens, known, view = [], [], [], []
    labels: list[list[bool]] = []
    for video in there:
        dense = banks[video.name]
        truth = moments_of(video, dense.timestamps, classes)
        for number in range(views):
            rows.append(hidden(dense if number == 0 else sampled(dense, rng)))
            happens.append(truth.happens)
            known.append(truth.known)
            view.append(np.full(len(dense.timestamps), len(labels)))
            labels.append([name in video.labels for name in classes])
    return Sample(
        torch.from_numpy(np.concatenate(rows)),
        torch.from_numpy(np.concatenate(happens)),
        torch.from_numpy(np.concatenate(known)),
        torch.from_numpy(np.concatenate(view)),
        torch.tensor(labels),
    )


def fit_head(sample: Sample, decay: float, updates: int = 80) -> Head:
    """Fit the head; the same arguments give the same one."""
    mean, scale = sample.rows.mean(dim=0), sample.rows.std(dim=0) + 1e-3
    rows = (sample.rows - mean) / scale
    count = sample.happens.shape[1]
    weight = torch.zeros(count, rows.shape[1], requires_grad=True)
    # It begins with what is true of most moments: nothing happens.
    bias = torch.full((count,), -3.0, requires_grad=True)
    descent = torch.optim.LBFGS([weight, bias], max_iter=updates, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        descent.zero_grad()
        loss = moments_loss(rows @ weight.T + bias, sample) + decay * weight.square().sum()
        loss.backward()
        return loss

    descent.step(closure)
    with torch.no_grad():
        whole = weight / scale
        return Head(whole.numpy(), (bias - whole @ mean).numpy())


def moments_loss(logits: Tensor, sample: Sample) -> Tensor:
    """Return the mean cross-entropy of the moments [R, C] that are known, and that of the others by view."""
    single = functional.binary_cross_entropy_with_logits(logits, sample.happens.float(), reduction="none")
    total = (single * sample.known).sum() / max(1, int(sample.known.sum()))
    open_views = torch.zeros(len(sample.labels), logits.shape[1], dtype=torch.bool)
    open_views[sample.view[(~sample.known).any(dim=1)]] = True
    bags = open_views & sample.labels & ~_anything(sample)
    if not bags.any():
        return total
    pooled = _soft_maximum(logits, sample)[bags]
    return total + functional.softplus(-pooled).mean() / logits.shape[1]


def _anything(sample: Sample) -> Tensor:
    """Return for which views and classes every moment is known: bool [V, C]."""
    unknown = torch.zeros(sample.labels.shape, dtype=torch.int64)
    unknown.index_add_(0, sample.view, (~sample.known).long())
    return unknown == 0


def _soft_maximum(logits: Tensor, sample: Sample) -> Tensor:
    """Return log mean exp of the logits at the moments that are not known, by view: [V, C]."""
    scaled = (_SHARPNESS * logits).masked_fill(sample.known, float("-inf"))
    shape = sample.labels.shape
    own = sample.view[:, None].expand_as(scaled)
    top = scaled.detach().new_full(shape, -1e4).scatter_reduce(0, own, scaled.detach(), "amax")
    zeros = logits.new_zeros(shape)
    sums = zeros.index_add(0, sample.view, (scaled - top[sample.view]).exp())
    counts = zeros.index_add(0, sample.view, (~sample.known).to(logits.dtype)).clamp(min=1)
    return (top + (sums / counts).clamp(min=1e-30).log()) / _SHARPNESS


def choose_head(learn: Sample, judge: Sample) -> tuple[Head, dict[float, float]]:
    """Return the head whose decay loses least on other videos, and the losses by decay."""
    heads = {decay: fit_head(learn, decay) for decay in DECAYS}
    losses = {}
    for decay, head in heads.items():
        logits = judge.rows @ torch.from_numpy(head.weight).T + torch.from_numpy(head.bias)
        losses[decay] = float(moments_loss(logits, judge))
    return heads[min(losses, key=losses.__getitem__)], losses
