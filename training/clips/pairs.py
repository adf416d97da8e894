"""Image-audio pairs and the clips they stand for: drawn from the videos, decoded once, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from l2l_engine.errors import MediaError
from l2l_engine.media import MediaSource, open_media
from l2l_engine.plan import MediaSettings
from training.config import Config
from training.errors import InputError
from training.models.inputs import media_settings, short_side_of
from training.runs.arrays import Rows, read_arrays, write_arrays
from training.runs.code import code_fingerprint
from training.runs.devices import lead_first
from training.runs.files import fingerprint, write_json
from training.runs.parallel import parallel_map
from training.videos.manifest import Video, class_names
from training.videos.segments import silence_after
from training.videos.sets import describe_set, load_sets

_SHIFT = 0.1
"""Seconds by which training may shift sound against picture at most."""
FRAMES, RATE = 16, 30.0
"""A clip: 16 frames by time over 16/30 s, whatever the video's frame rate."""
_TAIL = 0.7
"""Pairs start at least this long before their stretch ends, so that most of the second holds the action."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """P image-audio pairs, each the first frame of a clip and the window of sound from there on.

    Attributes:
        images: uint8 [P, H, H, 3], H the short side, 128 by default; training draws the crop from it.
        samples: int16 [P, window + spare], mono: the spare tenth of a second is for shifts.
        has_audio: bool [P].
        labels: bool [P, C].
        classes: Names of the classes.
        videos: int64 [P], which video of the sets each comes from.
        clips: uint8 [P, 16, S, S, 3], where they were asked for.
        has_image: bool [P]; None where all have one. The image of a pair without is zero.
        media: Sizes and rates of what is seen and heard of them.
    """

    images: NDArray[np.uint8]
    samples: NDArray[np.int16]
    has_audio: NDArray[np.bool_]
    labels: NDArray[np.bool_]
    classes: tuple[str, ...]
    videos: NDArray[np.int64]
    clips: NDArray[np.uint8] | None = None
    has_image: NDArray[np.bool_] | None = None
    media: MediaSettings = field(default_factory=MediaSettings)

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def multi_label(self) -> bool:
        """Whether any has other than one label."""
        return bool((self.labels.sum(axis=1) != 1).any())


@dataclass(frozen=True, slots=True)
class PairSets:
    """Pairs to learn from and to validate on."""

    train: Pairs
    validation: Pairs


@dataclass(frozen=True, slots=True)
class _Job:
    video: Video
    number: int
    count: int
    side: int | None
    seed: int
    media: MediaSettings


def load_pairs(
    config: Config,
    sets: tuple[str, ...],
    classes: tuple[str, ...] | None = None,
    *,
    count: int | None = None,
    side: int | None = None,
    media: MediaSettings | None = None,
) -> Pairs:
    """Decode the pairs of some sets, or read them from an earlier run's cache.

    Args:
        config: The run.
        sets: Names of sets.
        classes: The classes in order; those of the sets by default.
        count: Pairs of each video; the student's by default.
        side: Also keep the clips, for a teacher that sees squares of this side.
        media: Sizes and rates of pictures and sound; by default those of the model's encoders.

    Raises:
        InputError: If no video of the sets can be read.
    """
    videos = [video for _, video in load_sets(config, sets)]
    classes = classes or class_names(videos)
    count = count or config.student.pairs
    media = media or media_settings(config.model)
    settings = {name: describe_set(config, name) for name in sets}
    sizes = [media.short_side, media.sample_rate, media.window]
    key = fingerprint([settings, count, side, config.seed, sizes, code_fingerprint(_read_pairs)])
    path = config.folder("pairs", f"{'+'.join(sets)}-{key}")
    with lead_first():
        if not path.exists():
            jobs = [_Job(v, number, count, side, config.seed, media) for number, v in enumerate(videos)]
            _write(path, jobs, config.workers)
    arrays = read_arrays(path)
    labels = np.array([[name in video.labels for name in classes] for video in videos])
    return Pairs(**arrays, labels=labels[arrays["videos"]], classes=classes, media=media)


def _write(path: Path, jobs: Sequence[_Job], workers: int) -> None:
    """Decode the pairs of a set; what is skipped is told beside them."""
    skipped: dict[str, str] = {}
    parts = _decode(jobs, workers, skipped)
    first = next(parts, None)
    if first is None:
        why = next(iter(skipped.values()), "there are none")
        raise InputError(f"of {len(jobs)} videos, none can be learnt from: {why}")
    write_arrays(path, chain([first], parts), {"videos": len(jobs), "pairs": jobs[0].count})
    write_json(path / "skipped.json", skipped)


def _decode(jobs: Sequence[_Job], workers: int, skipped: dict[str, str]) -> Iterator[Rows]:
    for job, result in zip(jobs, parallel_map(_read_pairs, jobs, workers), strict=True):
        if isinstance(result, str):
            skipped[str(job.video.path)] = result
        else:
            yield result


def _read_pairs(job: _Job) -> Rows | str:
    """Decode pairs at random times within the stretches, or why there are none."""
    torch.set_num_threads(1)
    times = draw_times(np.random.default_rng((job.seed, job.number)), job.video.stretches, job.count)
    try:
        with closing(open_media(job.video.path)) as source:
            if job.side is not None and not source.has_video:
                return f"{job.video.path}: no pictures, which a teacher must have"
            pictures, keep = _read_pictures(source, times, job.media.short_side, job.side)
            samples, heard = _read_samples(source, times, job.video.end, job.media)
            has = {"has_image": source.has_video, "has_audio": source.has_audio}
    except MediaError as error:
        return str(error)
    keep = keep & heard
    if not keep.any():
        return f"{job.video.path}: nothing of it can be decoded"
    flags = {name: np.full(len(times), value) for name, value in has.items()}
    rows = pictures | {"samples": samples, "videos": np.full(len(times), job.number)} | flags
    return {name: array[keep] for name, array in rows.items()}


def _read_pictures(
    source: MediaSource, times: NDArray[np.float64], size: int, side: int | None
) -> tuple[dict[str, NDArray[np.uint8]], NDArray[np.bool_]]:
    """Decode the frames at ``times``, with ``side`` the clips that they begin, and say which there are."""
    if not source.has_video:
        return {"images": np.zeros((len(times), size, size, 3), np.uint8)}, np.ones(len(times), np.bool_)
    if side is None:
        frames = source.frames(times, short_side=size, crop=size)
        return {"images": frames.images}, frames.valid
    moments = (times[:, None] + np.arange(FRAMES) / RATE).ravel()
    order = np.argsort(moments, kind="stable")
    whole = max(size, clip_side(side))
    frames = source.frames(moments[order], short_side=whole, crop=whole)
    images, valid = np.empty_like(frames.images), np.empty_like(frames.valid)
    images[order], valid[order] = frames.images, frames.valid
    clips = _shrink(images, clip_side(side))
    keep: NDArray[np.bool_] = np.all(valid.reshape(-1, FRAMES), axis=1)
    rows = {"images": _shrink(images[::FRAMES], size), "clips": clips.reshape(-1, FRAMES, *clips.shape[1:])}
    return rows, keep


def clip_side(side: int) -> int:
    """Return the short side of the clips that are kept for a teacher that sees squares of ``side`` pixels."""
    return min(MediaSettings().short_side, short_side_of(side))


def _shrink(images: NDArray[np.uint8], side: int) -> NDArray[np.uint8]:
    """Shrink squares [M, H, H, 3] to [M, side, side, 3], averaging areas."""
    if images.shape[1] == side:
        return images
    x = torch.from_numpy(images).permute(0, 3, 1, 2).float()
    small = functional.interpolate(x, size=(side, side), mode="area").round().to(torch.uint8)
    return small.permute(0, 2, 3, 1).contiguous().numpy()


def _read_samples(
    source: MediaSource, times: NDArray[np.float64], end: float | None, media: MediaSettings
) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
    window = media.window + spare(media)
    if not source.has_audio:
        return np.zeros((len(times), window), np.int16), np.ones(len(times), np.bool_)
    audio = source.audio_windows(times, window=window, sample_rate=media.sample_rate)
    silence_after(audio.samples, times, end, media.sample_rate)
    return np.round(np.clip(audio.samples, -1, 1) * 32767).astype(np.int16), audio.valid


def spare(media: MediaSettings) -> int:
    """Return the samples beyond the window that are kept with a pair."""
    return round(_SHIFT * media.sample_rate)


def draw_times(
    rng: np.random.Generator, stretches: Sequence[tuple[float, float]], count: int
) -> NDArray[np.float64]:
    """Draw ``count`` increasing times, evenly over the stretches (each short of its end)."""
    lengths = np.array([min(max(end - start - _TAIL, 0.1), end - start) for start, end in stretches])
    ends = np.cumsum(lengths)
    places = (np.arange(count) + rng.random(count)) / count * ends[-1]
    which = np.minimum(np.searchsorted(ends, places, side="right"), len(lengths) - 1)
    starts = np.array([start for start, _ in stretches])
    times: NDArray[np.float64] = starts[which] + places - (ends - lengths)[which]
    return times
