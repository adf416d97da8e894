"""A folder of clips as phones make them, a folder a class, to time the way from a folder to a plan."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from benchmarks.media import FOLDER, encode, remux
from benchmarks.media.files import EDITION


@dataclass(frozen=True, slots=True)
class Shape:
    """What the clips are like.

    Attributes:
        count: How many.
        seconds: Of each.
        width, height: Of their pictures.
        classes: How many classes they are of.
        video_bits: Bits a second of their pictures.
    """

    count: int = 344
    seconds: int = 10
    width: int = 1280
    height: int = 720
    classes: int = 8
    video_bits: int = 1_500_000


def folder(shape: Shape) -> Path:
    """Return the folder of the clips, made if it is missing.

    Of each class one long file is drawn, and clips are cut out of it, each a second after the one before: no
    two have the same frames, and to decode and embed one costs what it costs for any other.
    """
    version = hashlib.sha256(repr((EDITION, shape, encode.H264)).encode()).hexdigest()[:8]
    root = FOLDER / "clips" / version
    if (root / "made").exists():
        return root / "videos"
    places = -(-shape.count // shape.classes)
    for number in range(shape.classes):
        own = root / "videos" / f"class {number + 1}"
        own.mkdir(parents=True, exist_ok=True)
        whole = root / f"class-{number + 1}.mp4"
        recipe = encode.Recipe(
            places + shape.seconds,
            shape.width,
            shape.height,
            gop=30,
            video_bits=shape.video_bits,
            seed=100 + number,
        )
        encode.write(recipe, whole)
        for place in range(min(places, shape.count - number * places)):
            remux.cut(whole, place, place + shape.seconds, own / f"clip {place:03}.mp4")
        whole.unlink()
    (root / "made").touch()
    return root / "videos"
