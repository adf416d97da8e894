"""The footage as a manifest: its groups, what is held out of it, and the folds of a cross-validation."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from training.errors import InputError
from training.journey.alike import Alike, united
from training.prepare import Options, prepare
from training.prepare.layouts import Listed
from training.prepare.splits import folds as deal
from training.prepare.splits import hold_out
from training.runs.files import write_atomically

TEST = 0.2
"""Share of each class that is held out where nothing else says what is."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the footage is to be used.

    Attributes:
        data: A folder, or a manifest that ``prepare`` wrote.
        folder: Where the manifest goes.
        layout, annotations: As ``prepare`` takes them.
        folds: Folds of a cross-validation over all videos; 0 for a part that is held out.
        workers: Processes that open videos.
    """

    data: Path
    folder: Path
    layout: str = "folders"
    annotations: tuple[Path, ...] = ()
    folds: int = 0
    workers: int = 2


@dataclass(slots=True)
class Listing:
    """A manifest, and how its videos are parted.

    Attributes:
        path: The manifest.
        report: What ``prepare`` said; empty for a manifest that was there.
        ours: Whether it is us who hold out a part of it; else the annotations do, or folds.
        folds: By name, the fold of each video; empty where a part is held out.
        notes: What is to be said of how they are parted.
        alike: Files of each group of near-duplicates.
        doubted: How many videos were so much alike that this was not believed.
    """

    path: Path
    report: dict[str, Any]
    ours: bool
    folds: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    alike: list[list[str]] = field(default_factory=list)
    doubted: int = 0

    def entries(self) -> list[dict[str, Any]]:
        """Return the lines of the manifest."""
        return read_entries(self.path)


def list_footage(wanted: Wanted) -> Listing:
    """Return the footage as a manifest, made where the data is a folder.

    Raises:
        InputError: If it cannot be used, or cannot be parted as asked for.
        OSError: If something cannot be read or written.
    """
    if wanted.folds == 1 or wanted.folds < 0:
        raise InputError(f"--folds {wanted.folds}: a cross-validation has at least two")
    path, report = wanted.data, {}
    if not wanted.data.is_file():
        # A part held out for the temperature alone is worth it only where there is plenty: choices.held_out.
        report = prepare(
            Options(
                wanted.data,
                wanted.folder,
                wanted.layout,
                wanted.annotations,
                validation=0.0,
                test=0.0 if wanted.folds else TEST,
                least=1,
                workers=wanted.workers,
            )
        )
        path = wanted.folder / "manifest.jsonl"
    entries = read_entries(path)
    splits = {str(entry.get("split")) for entry in entries}
    given = bool(report.get("splits_given")) or (not report and splits > {"train"})
    listing = Listing(path, report, ours=bool(report) and not given)
    named = any(entry.get("fold") for entry in entries)
    if given and (named or wanted.folds):
        listing.notes.append("Folds are off, because the footage says what it is to be tested on.")
    elif named or wanted.folds:
        listing.ours = False
        listing.folds = _deal(entries, wanted.folds)
        if named and wanted.folds:
            listing.notes.append("The folds are those of the column `fold`; --folds changes nothing.")
    _note_leaks(listing, entries)
    return listing


def _deal(entries: Sequence[Mapping[str, Any]], count: int) -> dict[str, str]:
    labels = {entry["name"]: entry["labels"][0] for entry in entries}
    groups = {entry["name"]: entry.get("group") or entry["name"] for entry in entries}
    given = {entry["name"]: str(entry.get("fold") or "") for entry in entries}
    dealt = deal(labels, groups, count, given)
    if len(set(dealt.values()) - {""}) < 2:
        raise InputError("a cross-validation needs two folds, and all videos are of one source or one fold")
    return dealt


def regroup(listing: Listing, found: Alike, folds: int) -> Listing:
    """Put near-duplicates on one side, where it is us who part the footage; else say which are on both.

    Args:
        listing: The footage.
        found: Names of videos that are nearly the same.
        folds: As the user asked for.
    """
    entries = listing.entries()
    by_name = {entry["name"]: entry for entry in entries}
    listing.doubted = sum(map(len, found.doubted))
    before = {name: entry.get("group") or name for name, entry in by_name.items()}
    groups = united(before, found.groups)
    changed = [members for members in found.groups if len({before[name] for name in members}) > 1]
    listing.alike = [[by_name[name]["path"] for name in members] for members in changed]
    if not changed:
        return listing
    named = bool(listing.report.get("folds_given"))
    if listing.ours:
        entries = _held_out_anew(entries, groups)
        write_entries(listing.path, entries)
        listing.report |= _counted(entries)
    elif listing.folds and not named:
        entries = [entry | {"group": groups[entry["name"]]} for entry in entries]
        write_entries(listing.path, entries) if listing.report else None
        listing.folds = _deal(entries, folds)
    else:
        listing.notes.clear()
        _note_leaks(listing, [entry | {"group": groups[entry["name"]]} for entry in entries])
    return listing


def _counted(entries: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return what ``prepare`` said of splits, counted again."""
    classes: dict[str, Counter[str]] = defaultdict(Counter)
    for entry in entries:
        for label in entry["labels"]:
            classes[label][entry["split"]] += 1
    return {
        "splits": dict(Counter(entry["split"] for entry in entries)),
        "classes": {label: dict(classes[label]) for label in sorted(classes)},
    }


def _held_out_anew(entries: list[dict[str, Any]], groups: Mapping[str, str]) -> list[dict[str, Any]]:
    """Part the footage once more, by groups that are known by now."""
    by_path = {Path(entry["path"]): groups[entry["name"]] for entry in entries}
    listed = [Listed(Path(entry["path"]), tuple(entry["labels"])) for entry in entries]
    parted = hold_out(listed, 0.0, TEST, by_path)
    return [
        entry | {"group": groups[entry["name"]], "split": video.split}
        for entry, video in zip(entries, parted, strict=True)
    ]


def _note_leaks(listing: Listing, entries: Sequence[Mapping[str, Any]]) -> None:
    """Say which groups the annotations put on both sides."""
    sides: dict[str, set[str]] = defaultdict(set)
    for entry in entries:
        side = listing.folds.get(entry["name"]) or str(entry.get("split"))
        sides[entry.get("group") or entry["name"]].add(side)
    torn = sorted(Path(group).name for group, found in sides.items() if len(found) > 1)
    if torn:
        some = ", ".join(torn[:5]) + (", ..." if len(torn) > 5 else "")
        listing.notes.append(
            f"{len(torn)} sources stand on both sides, as the footage was given ({some}): the score flatters."
        )


def read_entries(path: Path) -> list[dict[str, Any]]:
    """Return the lines of a manifest.

    Raises:
        InputError: If it is none.
    """
    path = path / "manifest.jsonl" if path.is_dir() else path
    try:
        entries = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        for entry in entries:
            entry.setdefault("labels", [entry.get("label")])
            entry.setdefault("name", Path(entry["path"]).stem)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(f"{path}: not written by `prepare`: {error!r}") from error
    return entries


def write_entries(path: Path, entries: Sequence[Mapping[str, Any]]) -> None:
    """Write a manifest."""
    text = "".join(json.dumps(entry) + "\n" for entry in entries)
    write_atomically(path, lambda file: file.write(text.encode()))


def fold_manifest(listing: Listing, fold: str, path: Path) -> Path:
    """Write the manifest of a fold: its videos are the test, those of the other folds are to learn from."""
    entries = [
        entry | {"split": "test" if listing.folds[entry["name"]] == fold else "train"}
        for entry in listing.entries()
        if listing.folds.get(entry["name"])
    ]
    write_entries(path, entries)
    return path


def all_manifest(listing: Listing, path: Path) -> Path:
    """Write the manifest that the plan itself is made of, where folds tell how good it is: all videos."""
    write_entries(path, [entry | {"split": "train"} for entry in listing.entries()])
    return path
