"""Which videos are held out: all of one source together, of every class, by a rule that does not change."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Hashable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

from training.prepare.layouts import Listed

_Key = TypeVar("_Key", bound=Hashable)


def hold_out(
    videos: Sequence[Listed], validation: float, test: float, groups: Mapping[Path, str] | None = None
) -> list[Listed]:
    """Give a split to the videos without one: shares of each class, by a hash of the file's name.

    So the same footage always falls on the same side, and what is added later moves little else. Segments of
    one file fall on the same side, and so do files of one group. Each share above 0 gets at least one file of
    a class, as long as one group is left to learn from. Where some of a group have a split, the others
    follow.

    Args:
        groups: Names of groups, for the files that are in one.
    """
    group = {video.path: (groups or {}).get(video.path, "") for video in videos}
    key = {path: (name,) if name else (path.name, path) for path, name in group.items()}
    given: dict[Hashable, str] = {}
    for video in videos:
        if video.split:
            given.setdefault(key[video.path], video.split)
    by_class: dict[str, Counter[Hashable]] = defaultdict(Counter)
    for path, label in {video.path: video.labels[0] for video in reversed(videos)}.items():
        by_class[label][key[path]] += 1
    splits = dict(given)
    for sizes in by_class.values():
        total = sum(count for one, count in sizes.items() if one not in given)
        left = [one for one in sorted(sizes, key=_draw) if one not in splits]
        for name, share in (("test", test), ("validation", validation)):
            there = sum(sizes[one] for one in sizes if splits.get(one) == name and one not in given)
            wanted = max(1, round(share * total)) - there if share > 0 and total else 0
            chosen = _fill(left, sizes, wanted, keep=not any(splits.get(one) == "train" for one in sizes))
            splits |= dict.fromkeys(chosen, name)
            left = [one for one in left if one not in chosen]
        splits |= dict.fromkeys(left, "train")
    return [video if video.split else replace(video, split=splits[key[video.path]]) for video in videos]


def _draw(key: object) -> tuple[bytes, str]:
    first = key[0] if isinstance(key, tuple) else key
    return hashlib.sha256(str(first).encode(errors="replace")).digest(), str(key)


def _fill(order: Sequence[_Key], sizes: Mapping[_Key, int], wanted: int, *, keep: bool) -> list[_Key]:
    """Return groups in order, as many as fit into ``wanted`` files; the smallest, if none fits.

    Args:
        keep: Whether one of them must be left.
    """
    chosen: list[_Key] = []
    most = len(order) - keep
    for one in order:
        if len(chosen) < most and sizes[one] <= wanted:
            chosen.append(one)
            wanted -= sizes[one]
    if not chosen and wanted > 0 and most > 0:
        chosen = [min(order, key=lambda one: sizes[one])]
    return chosen


def folds(
    labels: Mapping[str, str], groups: Mapping[str, str], count: int, given: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Give a fold to every video: all of a group to one, and of each class about as many to each.

    Groups are dealt in the order of a hash of their names, the largest first, each to the fold that has the
    fewest of the group's classes.

    Args:
        labels: The (first) label of each video, by its name.
        groups: The group of each.
        count: How many folds; fewer where there are fewer groups.
        given: Folds that annotations name; if there are any, nothing else is decided.

    Returns:
        The name of each video's fold; "" for videos that the annotations leave out.
    """
    if given and any(given.values()):
        return {name: given.get(name, "") for name in labels}
    members: dict[str, list[str]] = defaultdict(list)
    for name in labels:
        members[groups[name]].append(name)
    names = [str(number + 1) for number in range(min(count, len(members)))]
    held: dict[str, Counter[str]] = {name: Counter() for name in names}
    found: dict[str, str] = {}
    for group in sorted(members, key=lambda group: (-len(members[group]), _draw(group))):
        own = Counter(labels[name] for name in members[group])
        fold = min(names, key=lambda name: (_crowd(held[name], own), sum(held[name].values())))
        held[fold].update(own)
        found |= dict.fromkeys(members[group], fold)
    return found


def _crowd(held: Counter[str], classes: Collection[str]) -> int:
    return sum(held[label] for label in classes)
