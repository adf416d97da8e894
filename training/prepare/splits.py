"""Which videos are held out: whole files, of every class, by a rule that does not change."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from training.prepare.layouts import Listed


def hold_out(videos: Sequence[Listed], validation: float, test: float) -> list[Listed]:
    """Give a split to the videos without one: shares of each class, by a hash of the file's name.

    So the same footage always falls on the same side, and what is added later moves little else. Segments of
    one file fall on the same side. Each share above 0 gets at least one file of a class, as long as one is
    left to learn from.
    """
    given = {video.path: video.split for video in videos if video.split}
    by_class: dict[str, list[Path]] = defaultdict(list)
    for path, label in {video.path: video.labels[0] for video in reversed(videos)}.items():
        if path not in given:
            by_class[label].append(path)
    splits = dict(given)
    for paths in by_class.values():
        order = sorted(
            paths, key=lambda path: (hashlib.sha256(path.name.encode(errors="replace")).digest(), path)
        )
        left = len(order) - 1
        for name, share in (("test", test), ("validation", validation)):
            count = min(left, max(1, round(share * len(order)))) if share > 0 else 0
            left -= count
            splits |= dict.fromkeys(order[:count], name)
            order = order[count:]
        splits |= dict.fromkeys(order, "train")
    return [video if video.split else replace(video, split=splits[video.path]) for video in videos]
