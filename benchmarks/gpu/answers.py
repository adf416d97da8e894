"""What the CPU says of the videos that the GPU is asked about: made beforehand, and carried as a file.

    python -m benchmarks.gpu.answers

makes it where OpenVINO and PyAV are; a machine with a GPU then needs PyAV alone. It knows the videos by
their bytes and the networks by their weights, so that what is compared is the same on both sides.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.gpu import paper, site
from benchmarks.gpu.section import NotRunError
from benchmarks.gpu.videos import long_video

VIDEOS, FEW = 200, 40
PATH = site.ROOT / "results" / "runs" / "gpu-answers.json"
DEMO = site.ROOT / "demo" / "demo.plan"
DEMO_SET, PAPER_SET = "demo", "paper"
NEAR = 1e-4
"""How far two exports of the same random weights may be apart: statistics of batch norms are rounded."""
_AT_ONCE = 8
File = Path | bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """Of one video: the start of its SHA-256, the label, and logits [C] but for their mean."""

    video: str
    label: str
    logits: list[float]


@dataclass(frozen=True, slots=True)
class Answers:
    """Of a set of videos by one plan; ``weights`` are its networks', see :func:`weights_of`."""

    weights: dict[str, float]
    videos: list[Answer]


def files(count: int) -> Iterator[File]:
    """The demo's videos, then generated ones of 24 seconds."""
    known = sorted((site.ROOT / "demo").glob("*.mp4"))[:count]
    yield from known
    for seed in range(count - len(known)):
        yield long_video(24, (320, 180), seed=seed)


def digest(file: File) -> str:
    """The start of the SHA-256 of a file's bytes."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    return hashlib.sha256(content).hexdigest()[:16]


def weights_of(plan: Any) -> dict[str, float]:
    """The sum of the magnitudes of the weights, by graph in float32 and of the skimmer."""
    import onnx  # noqa: PLC0415 - what exports has it

    found = {"skim": _magnitude(plan.skim.values())}
    for name in sorted(plan.graphs):
        if name.endswith(".fp32"):
            tensors = onnx.load_from_string(bytes(plan.graphs[name])).graph.initializer
            found[name] = _magnitude(map(onnx.numpy_helper.to_array, tensors))
    return found


def _magnitude(arrays: Any) -> float:
    return float(
        sum(np.abs(np.asarray(x, np.float64)).sum() for x in arrays if np.asarray(x).dtype.kind == "f")
    )


def logits_of(prediction: Any, classifier: Any) -> NDArray[np.float64]:
    """Up to what softmax does not see: their mean is 0."""
    document = classifier.plan.document
    scores = np.log(np.maximum(prediction.probabilities.astype(np.float64), 1e-30))
    logits: NDArray[np.float64] = document.temperature(document.skim.steps) * (scores - scores.mean())
    return logits


def ask(classifier: Any, videos: Sequence[File], workers: int = 2) -> list[Answer]:
    """The classifier's answers."""
    predictions = classifier.predict_many(videos, workers=workers)
    return [
        Answer(digest(file), prediction.label, [float(x) for x in logits_of(prediction, classifier)])
        for file, prediction in zip(videos, predictions, strict=True)
    ]


def make(path: Path, counts: tuple[int, int] = (VIDEOS, FEW), said: Callable[[str], None] = print) -> None:
    """Ask the CPU in float32: by the demo's plan, and about fewer videos by the paper's networks."""
    from l2l_engine import Classifier  # noqa: PLC0415 - the check's own process never imports it

    sets: dict[str, Any] = {}
    for name, plan, count in ((DEMO_SET, DEMO, counts[0]), (PAPER_SET, paper.plan_path(), counts[1])):
        begin = time.monotonic()
        with Classifier(plan, device="cpu", precision="fp32") as cpu:
            answers: list[Answer] = []
            for some in batches(count):
                answers += ask(cpu, some)
                said(f"{name}: {len(answers)} of {count}, {time.monotonic() - begin:.0f} s")
            sets[name] = asdict(Answers(weights_of(cpu.plan), answers))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sets), encoding="utf-8")
    said(f"{path}: {path.stat().st_size / 1e3:.0f} kB")


def batches(count: int) -> Iterator[list[File]]:
    """The files, some at a time: all of them are too many for the memory."""
    some: list[File] = []
    for file in files(count):
        some.append(file)
        if len(some) == _AT_ONCE:
            yield some
            some = []
    if some:
        yield some


def load(path: Path, name: str, plan: Any) -> Answers:
    """The answers of a set, given by networks with the weights of ``plan``.

    Raises:
        NotRunError: There is no file, or its answers are those of other weights.
    """
    if not path.exists():
        raise NotRunError(f"{path} is missing: python -m benchmarks.gpu.answers makes it where OpenVINO is")
    plain = json.loads(path.read_text(encoding="utf-8"))[name]
    answers = Answers(plain["weights"], [Answer(**each) for each in plain["videos"]])
    here = weights_of(plan)
    apart = {key: abs(here[key] / answers.weights[key] - 1) for key in here if key in answers.weights}
    if set(here) != set(answers.weights) or max(apart.values()) > NEAR:
        raise NotRunError(f"{path} has answers of other weights: {answers.weights} there, {here} here")
    return answers


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu.answers", description=__doc__)
    parser.add_argument("path", nargs="?", type=Path, default=PATH)
    make(parser.parse_args().path)
