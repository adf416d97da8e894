"""Runs methods on one set of cached features: what they say, kept on disk, and what that costs."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import FunctionType
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from training.baselines import Encoded, Method
from training.learning.measures import accuracy, calibration_error
from training.learning.scores import Scored, mean_average_precision
from training.runs.code import code_fingerprint
from training.runs.files import fingerprint, write_atomically
from training.skimming.features import VideoFeatures
from training.skimming.sequences import Track, targets, to_sequences
from training.tables.macs import Cost, count, measure, skim_macs

TIMED = 9
"""Videos, of all lengths, whose median time is reported."""


@dataclass(frozen=True)
class Examples:
    """A set of videos with their features and truth.

    Attributes:
        videos: V videos.
        classes: C names, in the order of the scores.
        origin: What the features come from, as JSON values: the set and the student.
    """

    videos: Sequence[VideoFeatures]
    classes: Sequence[str]
    origin: Any

    @cached_property
    def tracks(self) -> list[Track]:
        """The videos as the skimmer takes them."""
        return to_sequences(self.videos, self.classes)

    @cached_property
    def truth(self) -> NDArray[np.bool_]:
        """Which classes each video has: [V, C]."""
        return targets(self.tracks, len(self.classes)).numpy()

    def right(self, scores: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Whether the greatest score [V, C] is at one of the video's labels."""
        right: NDArray[np.bool_] = self.truth[np.arange(len(scores)), scores.argmax(axis=1)]
        return right

    def quality(self, scores: NDArray[np.float32]) -> dict[str, float]:
        """Return top-1 with its interval, mAP, and the calibration error of the greatest score."""
        right = self.right(scores)
        return accuracy(right.tolist()) | {
            "map": mean_average_precision(Scored(scores, self.truth)),
            "ece": calibration_error(scores.max(axis=1).astype(float), right),
        }


@dataclass(frozen=True, slots=True)
class Encoders:
    """What one image and one window of sound cost."""

    image: Cost
    window: Cost

    def of(self, images: float, windows: float) -> Cost:
        """Return what so many of them cost."""
        return self.image * images + self.window * windows


@dataclass(frozen=True, slots=True)
class Result:
    """What a method said about every video, and what it took; costs are means a video.

    Attributes:
        name: Of the row.
        scores: [V, C].
        right: [V].
        images, windows: Encoded a video.
        head: All that comes after the encoders.
        cost: Everything, decoding excluded.
        quality: See ``Examples.quality``.
    """

    name: str
    scores: NDArray[np.float32]
    right: NDArray[np.bool_]
    images: float
    windows: float
    head: Cost
    cost: Cost
    quality: Mapping[str, float]

    def row(self) -> dict[str, Any]:
        """Return the row as it stands in the report."""
        more = {"images": self.images, "windows": self.windows, "head_gmac": self.head.gmac}
        return {"method": self.name, **self.quality, **self.cost.to_plain(), **more}


class Bench:
    """Runs methods on the same examples.

    Args:
        examples: The test set.
        encoders: What the methods' inputs cost.
        cache: Folder in which answers are kept, by a fingerprint of weights, features and code.
    """

    def __init__(self, examples: Examples, encoders: Encoders, cache: Path) -> None:
        self.examples, self.encoders, self.cache = examples, encoders, cache

    def run(self, method: Method) -> Result:
        """Return the method's row; only its seconds are measured anew where its answers are known."""
        kept = self.keep(describe(method), lambda: self._answer(method))
        scores = kept["scores"].numpy()
        images, windows = (float(value) for value in kept["pairs"].double().mean(dim=0))
        head = Cost(float(kept["macs"].mean()) / 1e9, self._seconds(method))
        return Result(
            name=method.name,
            scores=scores,
            right=self.examples.right(scores),
            images=images,
            windows=windows,
            head=head,
            cost=self.encoders.of(images, windows) + head,
            quality=self.examples.quality(scores),
        )

    def on(self, examples: Examples) -> Bench:
        """Return the same bench with other examples."""
        return Bench(examples, self.encoders, self.cache)

    def quality(self, method: Method) -> dict[str, float]:
        """Return how good the method's answers are, without what they cost."""
        kept = self.keep(
            ["scores", describe(method)], lambda: {"scores": method.scores(self.examples.tracks)}
        )
        return self.examples.quality(kept["scores"].numpy())

    def keep(self, what: Any, compute: Callable[[], dict[str, Tensor]]) -> dict[str, Tensor]:
        """What an earlier run found for the same description, or what ``compute`` finds now."""
        key = fingerprint([what, self.examples.origin, code_fingerprint(compute)])
        path = self.cache / f"{key}.safetensors"
        if not path.exists():
            found = {name: value.contiguous() for name, value in compute().items()}
            write_atomically(path, lambda file: file.write(save(found)))
        return load_file(path)

    def _answer(self, method: Method) -> dict[str, Tensor]:
        tracks = self.examples.tracks
        pairs = [method.pairs(track) for track in tracks]
        macs = head_macs(method, tracks, pairs)
        return {
            "scores": method.scores(tracks).float(),
            "pairs": torch.tensor(pairs),
            "macs": torch.tensor(macs, dtype=torch.float64),
        }

    def _seconds(self, method: Method) -> float:
        """Time a video after the encoders: the median over videos of all lengths."""
        by_length = sorted(self.examples.tracks, key=len)
        chosen = np.linspace(0, len(by_length) - 1, min(TIMED, len(by_length))).astype(int)
        return float(np.median([measure(method.scores, [by_length[number]], repeats=1) for number in chosen]))


def head_macs(method: Method, tracks: Sequence[Track], pairs: Sequence[Encoded]) -> list[float]:
    """Return multiply-adds a video after the encoders.

    Of a skimmer by the law that the counter gives, of any other method by the counter itself, once for all
    videos of the same length and the same number of pairs.
    """
    skimmer, steps = getattr(method, "skimmer", None), getattr(method, "steps", None)
    if isinstance(skimmer, nn.Module) and isinstance(steps, int):
        law = skim_macs(skimmer, tracks[0].image.shape[1], steps)
        return [law.of(len(track), *encoded) for track, encoded in zip(tracks, pairs, strict=True)]
    known: dict[tuple[int, ...], float] = {}
    found = []
    for track, encoded in zip(tracks, pairs, strict=True):
        size = (len(track), *encoded)
        if size not in known:
            known[size] = count(method.scores, [track])
        found.append(known[size])
    return found


def describe(value: Any) -> Any:
    """JSON values that are equal where two methods say the same: settings, and hashes of weights and code."""
    if isinstance(value, nn.Module):
        digest = hashlib.sha256(code_fingerprint(type(value)).encode())
        for name, tensor in value.state_dict().items():
            digest.update(name.encode() + str(tensor.dtype).encode() + tensor.cpu().numpy().tobytes())
        return digest.hexdigest()
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {
            field.name: describe(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if field.name != "name"
        }
        return {"kind": code_fingerprint(type(value)), **fields}
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, (list, tuple)):
        return [describe(item) for item in value]
    if isinstance(value, FunctionType):
        closed = [cell.cell_contents for cell in value.__closure__ or ()]
        return [value.__qualname__, code_fingerprint(value), describe(closed)]
    raise TypeError(f"{type(value).__name__} has no fingerprint")
