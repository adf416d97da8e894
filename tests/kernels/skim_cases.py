"""Random skimmer weights and videos, and the comparison with the reference."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import skim_reference


@dataclass(frozen=True)
class Dims:
    features: int = 24
    fused: int = 40
    state: int = 36
    keys: int = 20
    classes: int = 7


def random_weights(rng, dims=Dims(), *, query_layers=1, visual_only=False, paired=False):
    """Weights of the size of a trained network's: every layer keeps the spread of its input about 1."""
    d, f, h, k = dims.features, dims.fused, dims.state, dims.keys
    layers = {
        "fusion.0": (f, d if visual_only else 2 * d),
        "fusion.1": (d, f),
        "classifier": (dims.classes, d),
    }
    for modality in ("image",) if visual_only else ("image", "audio"):
        layers[f"key_{modality}"] = (k, d)
        inner = h if query_layers == 1 else h + 4
        if query_layers == 2:
            layers[f"query_{modality}.0"] = (inner, h)
        layers[f"query_{modality}.{query_layers - 1}"] = (k, inner)
    if not visual_only:
        layers["modality"] = (2, h)
    for modality in ("image", "audio") if paired and not visual_only else ():
        layers[f"pair_{modality}.0"] = (f + 3, 2 * d)
        layers[f"pair_{modality}.1"] = (d, f + 3)
    weights = {}
    for name, (rows, columns) in layers.items():
        weights[f"{name}.weight"] = rng.standard_normal((rows, columns)) * (1.5 / np.sqrt(columns))
        weights[f"{name}.bias"] = rng.standard_normal(rows) * 0.3
    weights["lstm.weight_ih"] = rng.standard_normal((4 * h, d)) * (1.5 / np.sqrt(d))
    weights["lstm.weight_hh"] = rng.standard_normal((4 * h, h)) * (1.5 / np.sqrt(h))
    weights["lstm.bias"] = rng.standard_normal(4 * h) * 0.3
    return {name: value.astype(np.float32) for name, value in weights.items()}


@dataclass
class Batch:
    """Arguments of ``Skimmer.run`` for B videos; `videos` is the same for the reference."""

    arguments: tuple = ()
    lengths: dict = field(default_factory=dict)
    videos: list = field(default_factory=list)


def irregular_knots(rng, count, duration):
    """Strictly increasing, unequal gaps, beginning before 0 or later, ending past the end or earlier."""
    start, end = sorted(rng.uniform(-0.2, 1.2, 2) * duration)
    return np.sort(rng.uniform(start, end, count)) + np.arange(count) * 1e-3


def random_batch(rng, features, sizes, *, steps_apart=16 / 30, on_timestamps=False):
    """`sizes` is [(N, image knots, audio knots)], one a video; rows past a length are NaN.

    Knots are irregular and reach past the timestamps, or are some of them.
    """
    width, most_image, most_audio = np.max(sizes, axis=0)
    b = len(sizes)
    image, audio = (np.full((b, m, features), np.nan, np.float32) for m in (most_image, most_audio))
    image_times, audio_times, timestamps = (np.full((b, m), np.nan) for m in (most_image, most_audio, width))
    videos = []
    for v, (n, mi, ma) in enumerate(sizes):
        timestamps[v, :n] = np.arange(n) * steps_apart
        for bank, times, m in ((image, image_times, mi), (audio, audio_times, ma)):
            bank[v, :m] = rng.standard_normal((m, features))
            if on_timestamps:
                times[v, :m] = np.sort(rng.choice(timestamps[v, :n], m, replace=False))
            else:
                times[v, :m] = irregular_knots(rng, m, n * steps_apart)
        videos.append(
            ((image[v, :mi], image_times[v, :mi]), (audio[v, :ma], audio_times[v, :ma]), timestamps[v, :n])
        )
    lengths = {
        "lengths": np.array([s[0] for s in sizes]),
        "image_lengths": np.array([s[1] for s in sizes]),
        "audio_lengths": np.array([s[2] for s in sizes]),
    }
    return Batch((image, audio, image_times, audio_times, timestamps), lengths, videos)


def reference(weights, video, steps, *, modality="both", **settings):
    image, audio, timestamps = video
    return skim_reference.skim(
        weights, None if modality == "audio" else image, None if modality == "image" else audio, timestamps,
        steps, **settings,
    )  # fmt: skip


def errors(result, video, expected):
    """The largest difference of each output of one video, over its largest magnitude (at least 1)."""
    found = {}
    for name, wanted in expected._asdict().items():
        got = np.asarray(getattr(result, name))[video]
        if name.endswith("attention"):
            assert not got[:, wanted.shape[1] :].any(), "attention past the video's length"
            got = got[:, : wanted.shape[1]]
        assert got.shape == wanted.shape
        found[name] = np.abs(got - wanted).max() / max(1.0, np.abs(wanted).max())
    return found


def worst_error(result, video, expected):
    return max(errors(result, video, expected).values())
