"""How data sets lie on disk: each reader says which videos there should be, and what happens in them.

The annotation formats are those in which the data sets are published. None of the readers opens a video.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l2l_engine.cli.files import expand
from training.errors import InputError

_YOUTUBE_ID = re.compile(r"[\w-]{11}")


@dataclass(frozen=True, slots=True)
class Listed:
    """A video as its annotations list it.

    Attributes:
        path: The file; where there is none, the name that it should have.
        labels: Class names; several for a multi-label set.
        split: "train", "validation" or "test"; empty where the annotations do not say.
        stretches: (start, end) seconds in which the labels hold; empty for all of it.
    """

    path: Path
    labels: tuple[str, ...]
    split: str = ""
    stretches: tuple[tuple[float, float], ...] = ()


class Library:
    """The media files of a folder, found by name without suffix.

    Attributes:
        root: The folder.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._paths: dict[str, Path] = {}
        for path in expand([root], recursive=True, unreadable=_refuse):
            self._paths.setdefault(path.stem, path)

    def find(self, stem: str) -> Path:
        """The file of that name; where there is none, the path that it might have."""
        return self._paths.get(stem, self.root / stem)

    def __contains__(self, stem: object) -> bool:
        return stem in self._paths


class AnnotationError(InputError):
    """An annotation file that is not what it should be; the message names file and line."""


def class_folders(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """``videos/CLASS/*``, or ``videos/SPLIT/CLASS/*`` with train, validation (val) and test."""
    _take(annotations, 0, "a folder of class folders has no annotation files")
    tops = sorted(path for path in library.root.iterdir() if path.is_dir() and not path.name.startswith("."))
    if tops and all(
        top.name in {"train", "training", "val", "validation", "test", "testing"} for top in tops
    ):
        folders = [(top, path) for top in tops for path in sorted(top.iterdir()) if path.is_dir()]
        classes = [(path, _split(top.name)) for top, path in folders]
    else:
        classes = [(path, "") for path in tops]
    if not classes:
        raise AnnotationError(f"{library.root}: holds no class folders")
    for folder, split in classes:
        for path in expand([folder], recursive=True, unreadable=_refuse):
            yield Listed(path, (folder.name,), split)


def table(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """A CSV with a header: path, label (several parted by ``|``) and, if you like, start, end, split."""
    (path,) = _take(annotations, 1, "give the CSV file")
    for where, row in _rows(path, required=("path", "label")):
        labels = tuple(label.strip() for label in row["label"].split("|") if label.strip())
        if not labels:
            raise AnnotationError(f"{where}: no label")
        stretches = _span(where, row, "start", "end")
        yield Listed(library.root / row["path"], labels, _split(row.get("split") or ""), stretches)


def kinetics(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """Kinetics-400/600/700: CSVs with label, youtube_id, time_start, time_end, split.

    Files are named ``ID_000012_000022`` or ``ID``; the first are clips already, of the others the stretch
    counts.
    """
    for path in _take(annotations, None, "give the CSV files"):
        for where, row in _rows(path, required=("label", "youtube_id")):
            split = _split(row.get("split") or path.stem)
            stretches = _span(where, row, "time_start", "time_end")
            start, end = stretches[0] if stretches else (0.0, 0.0)
            whole = row["youtube_id"]
            cut = f"{whole}_{int(start):06d}_{int(end):06d}"
            if cut in library or whole not in library:
                yield Listed(library.find(cut), (row["label"],), split)
            else:
                yield Listed(library.find(whole), (row["label"],), split, stretches)


def kinetics_sounds(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """Kinetics with the classes that can be seen and heard (Arandjelovic and Zisserman, 2017)."""
    return (listed for listed in kinetics(library, annotations) if listed.labels[0] in KINETICS_SOUNDS)


def ucf101(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """UCF-101: ``trainlist01.txt`` and ``testlist01.txt``, lines ``Class/v_Class_g01_c01.avi [number]``."""
    for path in _take(annotations, None, "give trainlist and testlist of one fold"):
        split = "test" if "test" in path.stem else "train"
        for number, line in _lines(path):
            name = line.split()[0]
            label, slash, _ = name.partition("/")
            if not slash:
                raise AnnotationError(f"{path}:{number}: expected Class/file, found {name!r}")
            video = library.root / name
            yield Listed(video if video.exists() else library.find(Path(name).stem), (label,), split)


def activitynet(library: Library, annotations: Sequence[Path]) -> Iterator[Listed]:
    """ActivityNet 1.3: ``activity_net.v1-3.min.json``; files ``v_ID``. Its test set has no labels."""
    (path,) = _take(annotations, 1, "give activity_net.v1-3.min.json")
    for name, entry in _database(path).items():
        try:
            marks = [
                (str(a["label"]), float(a["segment"][0]), float(a["segment"][1]))
                for a in entry["annotations"]
            ]
            split = _split(str(entry["subset"]))
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
    paths = list(_take(annotations, None, "give labels.txt and the partition files"))
    names = next((path for path in paths if path.stem == "labels"), None)
    if names is None or len(paths) < 2:
        raise AnnotationError("sports1m: give labels.txt and the partition files")
    labels = [line.strip() for line in names.read_text(encoding="utf-8").splitlines()]
    for path in paths:
        if path is names:
            continue
        split = "test" if "test" in path.stem else "validation" if "val" in path.stem else "train"
        for number, line in _lines(path):
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


def _split(name: str) -> str:
    """A split by the name that a data set, or a file of it, has for it; empty for anything else."""
    known = {"train": "train", "val": "validation", "test": "test"}
    return next((ours for part, ours in known.items() if part in name.lower()), "")


def _take(annotations: Sequence[Path], count: int | None, how: str) -> Sequence[Path]:
    if (count is None and not annotations) or (count is not None and len(annotations) != count):
        raise AnnotationError(f"{len(annotations)} annotation files given: {how}")
    return annotations


def _lines(path: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if line.strip():
            yield number, line.strip()


def _rows(path: Path, required: Sequence[str]) -> Iterator[tuple[str, dict[str, str]]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        missing = [name for name in required if name not in (reader.fieldnames or ())]
        if missing:
            raise AnnotationError(f"{path}: has no column {', '.join(missing)}")
        for row in reader:
            where = f"{path}:{reader.line_num}"
            if any(not row[name] for name in required):
                raise AnnotationError(f"{where}: a required column is empty")
            yield where, row


def _span(where: str, row: dict[str, str], first: str, second: str) -> tuple[tuple[float, float], ...]:
    if not row.get(first) or not row.get(second):
        return ()
    try:
        start, end = float(row[first]), float(row[second])
    except ValueError as error:
        raise AnnotationError(f"{where}: {first} and {second} must be seconds") from error
    if not 0 <= start < end:
        raise AnnotationError(f"{where}: {first} must lie before {second}, and neither below 0")
    return ((start, end),)


def _database(path: Path) -> dict[str, Any]:
    try:
        database = json.loads(path.read_text(encoding="utf-8"))["database"]
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationError(f"{path}: no annotation file of ActivityNet: {error!r}") from error
    if not isinstance(database, dict):
        raise AnnotationError(f"{path}: no annotation file of ActivityNet")
    return database


def _refuse(error: OSError) -> None:
    raise error
