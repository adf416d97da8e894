"""Which files were cut from one recording, as far as their names tell: they never stand in two splits.

A wrong guess costs little where it joins too much (a split that is a little uneven) and much where it joins
too little (a score that a copy of a training video has earned). But the numbers of a class's own files, as in
``dog_001`` to ``dog_040``, say nothing of where these come from; to join them all would leave none to test.
So identifiers and words such as "part" are believed, and bare numbers only behind a name that is nobody's
habit, and only as long as they do not run through most of a class.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from training.prepare.layouts import Listed

_YOUTUBE = re.compile(r"Y?(?P<source>[\w-]{11})_\d+(?:\.\d+)?(?:_\d+(?:\.\d+)?)?")
_IDENTIFIED = tuple(
    re.compile(rule)
    for rule in (
        r"(?P<source>[\w-]{11})_\d{6}_\d{6}",  # Kinetics: a YouTube video and its seconds
        r"(?P<source>\d-\d+)-[A-Z](?:-\d+)?",  # ESC: fold, recording, take, class
        r"(?P<source>v_\w+_g\d+)_c\d+",  # UCF-101: class, group, clip
        r"(?P<source>.*\d{4})[-_ ][A-Za-z]",  # takes of a numbered recording
    )
)
_CHAPTER = re.compile(r"G(?:OPR|[HXLP]\d\d)(?P<source>\d{4})", re.IGNORECASE)
"""What cameras of GoPro call the files of one long recording."""

_COPY = re.compile(r"(?P<source>.+?)[ _-]+(?:copy|kopie|copie|copia|edited)(?:[ _-]*\(?\d+\)?)?", re.I)
_PART = re.compile(
    r"(?P<source>.+?)[ _.-]*[ _.(-](?:part|pt|teil|partie|parte|segment|seg|chunk|chapter|split)"
    r"[ _.-]*(?:\d{1,4}|[a-z])?\)?(?:[ _-]?of[ _-]?\d+)?",
    re.I,
)
_AGAIN = re.compile(r"(?P<source>.+?)(?:[ _-]*\(\d{1,3}\)|~\d)")
"""What systems call a second file of a name, as long as the first one is there too."""
_SECONDS = re.compile(
    r"(?P<source>.+?)[ _-]+(?:\d+(?:\.\d+)?s|\d+\.\d+)[ _-]+(?:to[ _-]+)?(?:\d+(?:\.\d+)?s|\d+\.\d+)"
)
_NUMBERED = tuple(
    re.compile(rule, re.IGNORECASE)
    for rule in (
        r"(?P<source>.+?)[ _.-]+(?:cut|clip|piece|scene|take|excerpt|szene|scène)[ _.-]*\d{1,4}",
        r"(?P<source>.+?)[ _-]*\(\d{1,3}\)",
        r"(?P<source>.+?)[ _.-]+#?(?!(?:19|20)\d\d$)\d{1,4}",
    )
)
_DATE_LAST = re.compile(r".*(?:19|20)\d\d[-_.]?[01]\d[-_.]?[0-3]\d(?:[ _T-]?\d{4,6})?")
_HABITS = frozenset(
    """
    img vid mov mvi mvc dsc dscn dscf dji pxl gopr snap video videos clip clips movie film file
    files sample samples item audio sound sounds rec recording record voice track untitled new
    screen capture whatsapp signal at am pm ptt train training val valid validation test testing
    eval media output out export frame cam camera no number class id subject person user data
    example
    """.split()  # noqa: SIM905
)
"""Words by which cameras, programs and data sets begin any name."""


def sources(videos: Sequence[Listed]) -> dict[Path, str]:
    """Return which files have their source in common with others, by its name; other files are left out.

    What annotations say wins.

    Args:
        videos: Files with their labels; a file may be listed several times.
    """
    told = {video.path: video.group for video in videos if video.group}
    labels = {video.path: video.labels[0] for video in videos if video.path not in told}
    stems = {(path.parent, path.stem) for path in labels}
    plain = {path: _without_copies(path.stem, path.parent, stems) for path in labels}
    known = {path: _identified(stem) for path, stem in plain.items()}
    numbered = _numbered({path: stem for path, stem in plain.items() if known[path] is None}, labels)
    together: dict[tuple[str, Path | None], list[tuple[Path, str]]] = defaultdict(list)
    habits = _HABITS | {word for label in labels.values() for word in _words(label)}
    for path, stem in plain.items():
        source = known[path] or numbered.get(path, stem)
        # 001_part1 here and 001_part2 in another folder have nothing in common.
        everywhere = known[path] or _words(source) - habits
        together[source.casefold(), None if everywhere else path.parent].append((path, source))
    found: dict[Path, str] = {}
    for (_, place), members in together.items():
        # Without any hint in the name, the same name counts within a folder alone: 001.mp4 is everywhere.
        own = {path: source for path, source in members if source != path.stem or _has_twin(path, members)}
        if len(own) > 1:
            name = min(own.values())
            found |= dict.fromkeys(own, name if place is None else f"{place.name}/{name}")
    return found | told


def _has_twin(path: Path, members: Sequence[tuple[Path, str]]) -> bool:
    return any(other != path and other.parent == path.parent for other, _ in members)


def _without_copies(stem: str, folder: Path, stems: Collection[tuple[Path, str]]) -> str:
    """Return a name without marks of copies and parts."""
    before = ""
    while stem != before:
        before = stem
        for rule in (_COPY, _PART, _SECONDS):
            found = rule.fullmatch(stem)
            stem = found["source"] if found else stem
        again = _AGAIN.fullmatch(stem)
        if again and (folder, again["source"]) in stems:
            stem = again["source"]
    return stem


def _identified(stem: str) -> str | None:
    """Return the identifier of a recording, where a name holds one."""
    chapter = _CHAPTER.fullmatch(stem)
    if chapter:
        return f"GoPro {chapter['source']}"
    for rule in _IDENTIFIED:
        found = rule.fullmatch(stem)
        if found:
            return found["source"]
    found = _YOUTUBE.fullmatch(stem)
    return found["source"] if found and _drawn(found["source"]) else None


def _drawn(name: str) -> bool:
    """Whether a name looks drawn by lot, as YouTube's do: kinds of characters take turns."""
    kinds = ["a" if c.islower() else "A" if c.isupper() else "0" for c in name]
    return sum(one != other for one, other in pairwise(kinds)) >= 4


def _numbered(stems: Mapping[Path, str], labels: Mapping[Path, str]) -> dict[Path, str]:
    """Return the names before bare numbers, where these can be believed."""
    classes = {word for label in labels.values() for word in _words(label)}
    bases = {path: _before_number(stem) for path, stem in stems.items()}
    bases = {path: base for path, base in bases.items() if _words(base) - _HABITS - classes}
    sizes = Counter(labels.values())
    counts = Counter((base.casefold(), labels[path]) for path, base in bases.items())
    running = {base for (base, label), count in counts.items() if count > 1 and 2 * count > sizes[label]}
    return {path: base for path, base in bases.items() if base.casefold() not in running}


def _before_number(stem: str) -> str:
    if _DATE_LAST.fullmatch(stem):
        return ""
    found = next((match for rule in _NUMBERED if (match := rule.fullmatch(stem))), None)
    return found["source"] if found else ""


def _words(name: str) -> set[str]:
    """Return the words of a name in lower case, camel case taken apart; single letters are none."""
    parted = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name)
    return {word.casefold() for word in re.findall(r"[^\W\d_]{2,}", parted)}
