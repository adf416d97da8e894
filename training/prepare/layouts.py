"""How data sets lie on disk: each reader says which videos there should be, and what happens in them.

The annotation formats are those in which the data sets are published. None of the readers opens a video.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from training.prepare.annotations import (
    AnnotationError,
    Span,
    database,
    lines,
    rows,
    span,
    split_name,
    take,
    text,
)
from training.prepare.library import Library, class_name, media_files, subfolders

_YOUTUBE_ID = re.compile(r"[\w-]{11}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A video as its annotations list it.

    Attributes:
        path: The file; where there is none, the name that it should have.
        labels: Class names; several for a multi-label set.
        split: "train", "validation" or "test"; empty where the annotations do not say.
        stretches: (start, end) seconds of the file in which the action is; empty for all of the video.
        segment: (start, end) seconds, where the video is but this part of the file.
        fold: The fold that the annotations put it into; empty where they do not say.
        group: What it was cut from, as the annotations name it; empty where they do not say.
    """

    path: Path
    labels: tuple[str, ...]
    split: str = ""
    stretches: tuple[Span, ...] = ()
    segment: Span | None = None
    fold: str = ""
    group: str = ""


_SPLIT_FOLDERS = {"train", "training", "val", "validation", "test", "testing"}


def class_folders(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """``videos/CLASS/*``, or ``videos/SPLIT/CLASS/*`` with train, validation (val) and test."""
    take(annotations, 0, "a folder of class folders has no annotation files")
    tops = subfolders(library.root)
    if tops and all(top.name in _SPLIT_FOLDERS for top in tops):
        folders = [(top, path) for top in tops for path in subfolders(top)]
        classes = [(path, split_name(top.name)) for top, path in folders]
    else:
        classes = [(path, "") for path in tops]
    if not classes:
        raise AnnotationError(f"{library.root}: holds no class folders")
    for folder, split in classes:
        label = class_name(folder)
        for path in media_files(folder):
            yield Listed(path, (label,), split)


def table(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """A CSV with a header: path and label (several parted by ``|``), and if you like more columns.

    ``split``; ``fold`` and ``group``, by any names; ``start``, ``end``: the video is this part of the file;
    ``action_start``, ``action_end``: the label holds only in this part of the video. All in seconds of the
    file; several lines about one video add.
    """
    (path,) = take(annotations, 1, "give the CSV file")
    for where, row in rows(path, required=("path", "label")):
        labels = tuple(label.strip() for label in row["label"].split("|") if label.strip())
        if not labels:
            raise AnnotationError(f"{where}: no label")
        segment = span(where, row, "start", "end")
        action = span(where, row, "action_start", "action_end")
        if segment and action and not segment[0] <= action[0] < action[1] <= segment[1]:
            raise AnnotationError(f"{where}: the action must lie between start and end")
        stretches = (action,) if action else ()
        split = split_name(row.get("split") or "")
        names = [(row.get(column) or "").strip() for column in ("fold", "group")]
        yield Listed(library.root / row["path"], labels, split, stretches, segment, *names)


def kinetics(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """Kinetics-400/600/700: CSVs with label, youtube_id, time_start, time_end, split.

    Files are named ``ID_000012_000022`` or ``ID``; the first are clips already, of the others a segment is.
    """
    for path in take(annotations, None, "give the CSV files"):
        for where, row in rows(path, required=("label", "youtube_id")):
            split = split_name(row.get("split") or path.stem)
            segment = span(where, row, "time_start", "time_end")
            start, end = segment or (0.0, 0.0)
            whole = row["youtube_id"]
            cut = f"{whole}_{int(start):06d}_{int(end):06d}"
            if cut in library or whole not in library:
                yield Listed(library.find(cut), (row["label"],), split)
            else:
                yield Listed(library.find(whole), (row["label"],), split, segment=segment)


def kinetics_sounds(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """Kinetics with the classes that can be seen and heard (Arandjelovic and Zisserman, 2017)."""
    return (listed for listed in kinetics(library, annotations) if listed.labels[0] in KINETICS_SOUNDS)


def ucf101(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """UCF-101: ``trainlist01.txt`` and ``testlist01.txt``, lines ``Class/v_Class_g01_c01.avi [number]``."""
    for path in take(annotations, None, "give trainlist and testlist of one fold"):
        split = "test" if "test" in path.stem else "train"
        for number, line in lines(path):
            name = line.split()[0]
            label, slash, _ = name.partition("/")
            if not slash:
                raise AnnotationError(f"{path}:{number}: expected Class/file, found {name!r}")
            video = library.root / name
            yield Listed(video if video.exists() else library.find(Path(name).stem), (label,), split)


def activitynet(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """ActivityNet 1.3: ``activity_net.v1-3.min.json``; files ``v_ID``. Its test set has no labels."""
    (path,) = take(annotations, 1, "give activity_net.v1-3.min.json")
    for name, entry in database(path).items():
        try:
            marks = [
                (str(a["label"]), float(a["segment"][0]), float(a["segment"][1]))
                for a in entry["annotations"]
            ]
            split = split_name(str(entry["subset"]))
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise AnnotationError(f"{path}: {name}: {error!r}") from error
        if marks:
            labels = tuple(dict.fromkeys(label for label, _, _ in marks))
            stem = name if name in library else f"v_{name}"
            yield Listed(library.find(stem), labels, split, tuple((start, end) for _, start, end in marks))


def sports1m(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """Sports-1M and subsets of it such as Mini-Sports1M: partition files and ``labels.txt``.

    Partition files hold lines ``URL number,number…``; a name with "test" in it is the test set.
    """
    paths = list(take(annotations, None, "give labels.txt and the partition files"))
    names = next((path for path in paths if path.stem == "labels"), None)
    if names is None or len(paths) < 2:
        raise AnnotationError("sports1m: give labels.txt and the partition files")
    labels = [line.strip() for line in text(names).splitlines()]
    for path in paths:
        if path is names:
            continue
        split = "test" if "test" in path.stem else "validation" if "val" in path.stem else "train"
        for number, line in lines(path):
            url, _, numbers = line.partition(" ")
            found = _YOUTUBE_ID.findall(url)
            try:
                chosen = tuple(labels[int(text)] for text in numbers.split(","))
            except (ValueError, IndexError) as error:
                raise AnnotationError(f"{path}:{number}: expected a URL and class numbers") from error
            yield Listed(library.find(found[-1] if found else Path(url).stem), chosen, split)


Layout = Callable[[Library, Sequence[Path]], Iterator[Listed]]
LAYOUTS: dict[str, Layout] = {
    "folders": class_folders,
    "csv": table,
    "kinetics": kinetics,
    "kinetics-sounds": kinetics_sounds,
    "ucf101": ucf101,
    "activitynet": activitynet,
    "sports1m": sports1m,
}

KINETICS_SOUNDS = frozenset(
    {
        # "Look, Listen and Learn", appendix A.1 ...
        "blowing nose", "blowing out", "bowling", "chopping wood", "dribbling ball", "fingerpicking",
        "laughing", "mowing the lawn by pushing lawnmower", "patting", "playing accordion",
        "playing bagpipes", "playing bass guitar", "playing clarinet", "playing drums", "playing guitar",
        "playing harmonica", "playing keyboard", "playing organ", "playing piano", "playing saxophone",
        "playing trombone", "playing trumpet", "playing violin", "playing xylophone", "ripping paper",
        "shoveling snow", "shuffling cards", "singing", "stomping", "tap dancing", "tapping guitar",
        "tapping pen", "tickling", "typing",
        # ... and what the published Kinetics calls some of them.
        "blowing out candles", "dribbling basketball", "mowing lawn", "stomping grapes",
    }
)  # fmt: skip
