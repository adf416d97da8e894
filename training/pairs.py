"""Image-audio pairs for the clip classifier: drawn from the videos' stretches, decoded once, kept on disk."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.plan import MediaSettings
from training.config import Config, to_plain
from training.manifest import Video, class_names, load_sets
from training.parallel import parallel_map
from training.runs import fingerprint, write_atomically, write_json

SPARE = 1600
"""Samples beyond the window, which let training shift sound against picture by up to 0.1 s."""
_TAIL = 0.7
"""Pairs start at least this long before their stretch ends, so that most of the second holds the action."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """P image-audio pairs.

    Attributes:
        images: uint8 [P, 128, 128, 3]; larger than the crop, which training draws from it.
        samples: int16 [P, 17600], mono.
        has_audio: bool [P].
        labels: int64 [P].
        classes: Names of the classes.
    """

    images: NDArray[np.uint8]
    samples: NDArray[np.int16]
    has_audio: NDArray[np.bool_]
    labels: NDArray[np.int64]
    classes: tuple[str, ...]


def load_pairs(config: Config, sets: tuple[str, ...], classes: tuple[str, ...] | None = None) -> Pairs:
    """Decode the pairs of some sets, or read them from an earlier run's cache.

    Args:
        config: The run.
        sets: Names of rendered sets.
        classes: The classes in order; those of the sets by default.
    """
    videos = [video for _, video in load_sets(config, sets)]
    classes = classes or class_names(videos)
    settings = {name: to_plain(config.render[name]) for name in sets}
    key = fingerprint([settings, config.student.pairs, config.seed, classes])
    path = config.folder("pairs", f"{'+'.join(sets)}-{key}.npz")
    if not path.exists():
        arrays, skipped = _decode(config, videos, classes)
        write_json(path.with_suffix(".skipped.json"), skipped)
        write_atomically(path, lambda file: np.savez(file, **arrays))
    with np.load(path, allow_pickle=False) as arrays:
        return Pairs(**{name: arrays[name] for name in arrays.files}, classes=classes)


def _decode(
    config: Config, videos: Sequence[Video], classes: tuple[str, ...]
) -> tuple[dict[str, NDArray[np.generic]], dict[str, str]]:
    jobs = [(video, config.student.pairs, (config.seed, number)) for number, video in enumerate(videos)]
    images, samples, has_audio, labels, skipped = [], [], [], [], {}
    for video, result in zip(videos, parallel_map(_read_pairs, jobs, config.workers), strict=True):
        if isinstance(result, str):
            skipped[str(video.path)] = result
            continue
        images.append(result[0])
        samples.append(result[1])
        has_audio.append(np.full(len(result[0]), result[2]))
        labels.append(np.full(len(result[0]), classes.index(video.label)))
    arrays = {"images": images, "samples": samples, "has_audio": has_audio, "labels": labels}
    return {name: np.concatenate(parts) for name, parts in arrays.items()}, skipped


def _read_pairs(
    job: tuple[Video, int, tuple[int, int]],
) -> tuple[NDArray[np.uint8], NDArray[np.int16], bool] | str:
    """Pairs at random times within the stretches, or why there are none."""
    video, count, seed = job
    media = MediaSettings()
    times = draw_times(np.random.default_rng(seed), video.stretches, count)
    try:
        with closing(open_media(video.path)) as source:
            frames = source.frames(times, short_side=media.short_side, crop=media.short_side)
            audio = None
            if source.has_audio:
                audio = source.audio_windows(
                    times, window=media.window + SPARE, sample_rate=media.sample_rate
                )
    except MediaError as error:
        return str(error)
    keep = frames.valid
    if audio is None:
        samples = np.zeros((len(times), media.window + SPARE), np.int16)
    else:
        keep = keep & audio.valid
        samples = np.round(np.clip(audio.samples, -1, 1) * 32767).astype(np.int16)
    return frames.images[keep], samples[keep], audio is not None


def draw_times(
    rng: np.random.Generator, stretches: Sequence[tuple[float, float]], count: int
) -> NDArray[np.float64]:
    """``count`` increasing times, evenly distributed over the stretches (each short of its end)."""
    lengths = np.array([max(end - start - _TAIL, 0.1) for start, end in stretches])
    ends = np.cumsum(lengths)
    places = (np.arange(count) + rng.random(count)) / count * ends[-1]
    which = np.minimum(np.searchsorted(ends, places, side="right"), len(lengths) - 1)
    starts = np.array([start for start, _ in stretches])
    return starts[which] + places - (ends - lengths)[which]
