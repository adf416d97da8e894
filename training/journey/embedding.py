"""What the frozen encoders say of the footage, with a word on how long it takes; and near-duplicates."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace

import torch

from training.config import Config
from training.errors import InputError
from training.frozen.cache import VideoEmbeddings, embed_videos
from training.journey.alike import Alike, Means, near_duplicates
from training.journey.estimate import Clock, measured_chunks, weight
from training.journey.footage import Listing
from training.videos.manifest import read_manifest


def embed(
    config: Config, listing: Listing, clock: Clock, after: dict[str, float]
) -> tuple[list[VideoEmbeddings], dict[str, str]]:
    """Return the embeddings of all readable videos, in order, and why the others are not there.

    Args:
        config: The run.
        listing: The footage.
        clock: Is told how long this will take, once a few videos have been measured.
        after: Estimated seconds of the steps after this one.

    Raises:
        InputError: If none can be read.
    """
    videos = read_manifest(listing.path)
    costs = {entry["name"]: weight(entry["duration"], entry.get("pixels", 0)) for entry in listing.entries()}
    found: dict[str, VideoEmbeddings] = {}
    unreadable: dict[str, str] = {}
    begun = clock.now()

    def begin(left: float) -> None:
        clock.expect(embeddings=clock.now() - begun + left, **after)

    for part in measured_chunks(
        videos, [costs[video.name] for video in videos], clock, begin, config.workers
    ):
        found |= {known.video.name: known for known in embed_videos(config, part)}
        unreadable |= _skipped(config)
    if not found:
        raise InputError(
            f"of {len(videos)} videos, none can be learnt from: {next(iter(unreadable.values()), '')}"
        )
    return [found[video.name] for video in videos if video.name in found], unreadable


def _skipped(config: Config) -> dict[str, str]:
    path = config.folder("embeddings", "skipped.json")
    if not path.exists():
        return {}
    found: dict[str, str] = json.loads(path.read_text(encoding="utf-8"))
    return found


def alike(videos: Sequence[VideoEmbeddings]) -> Alike:
    """Find videos that are nearly the same by the mean of what the encoders say."""
    if not videos:
        return Alike([], [])
    rows = {name: torch.stack([_mean(video, name) for video in videos]) for name in ("image", "audio")}
    has = {
        name: torch.tensor([bool(video.modality(name)[1].any()) for video in videos])
        for name in ("image", "audio")
    }
    return near_duplicates(
        Means(
            [video.video.name for video in videos],
            [video.video.label for video in videos],
            rows["image"],
            rows["audio"],
            has["image"],
            has["audio"],
        )
    )


def _mean(video: VideoEmbeddings, name: str) -> torch.Tensor:
    views, valid = video.modality(name)
    rows = views[0].float()
    return rows[valid].mean(dim=0) if bool(valid.any()) else torch.zeros(rows.shape[1])


def as_listed(videos: Sequence[VideoEmbeddings], listing: Listing) -> list[VideoEmbeddings]:
    """Return the same embeddings of the videos as they are listed now: groups may have been joined since."""
    now = {video.name: video for video in read_manifest(listing.path)}
    return [replace(video, video=now[video.video.name]) for video in videos]
