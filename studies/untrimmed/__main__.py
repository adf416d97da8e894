"""Run the study, or go on where it stopped; see the package's docstring."""

from __future__ import annotations

import argparse
import json
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from studies.untrimmed import methods
from studies.untrimmed.embeddings import Ears, Heard, clip_tracks, file_tracks, tracks_of
from studies.untrimmed.methods import Material, turn
from studies.untrimmed.report import Right, write_report
from studies.untrimmed.runtime import check_runtime
from studies.untrimmed.sounds import TARGETS, Sounds, read_sounds
from training.errors import InputError

FOLDS, SEEDS, FILES = (1, 2, 3, 4, 5), (0, 1, 2), 400
CURVE = (4, 8, 16)
"""Clips a class, beside all 32."""
_Found = dict[str, Tensor]


def _clips(none: bool) -> Callable[[Material, Sequence[Any], int], _Found]:
    def run(material: Material, files: Sequence[Any], seed: int) -> _Found:
        kind = "clip" if none else "blind"
        return {
            f"{kind}-{name}": scores
            for name, scores in methods.clip_classifier(material, files, none=none).items()
        }

    return run


def _one(name: str, method: Callable[..., Tensor]) -> Callable[[Material, Sequence[Any], int], _Found]:
    return lambda material, files, seed: {name: method(material, files, seed)}


ROWS: dict[str, tuple[Callable[[Material, Sequence[Any], int], _Found], bool]] = {
    "probe": (_one("probe", methods.probe), True),
    "blind": (_clips(none=False), False),
    "clip": (_clips(none=True), False),
    "gate": (_one("gate", methods.gate), True),
    "single-query": (_one("single-query", methods.single_query), True),
    "paper": (_one("paper", methods.paper), True),
    "ours": (_one("ours", methods.ours), True),
}
"""What learns by one name, and whether chance has a part in it."""


class Case(NamedTuple):
    """What one training learns from: all folds but one, ``clips`` sounds a class, None for all."""

    fold: int
    seed: int
    clips: int | None = None

    def __str__(self) -> str:
        return f"{self.fold}-{self.seed}-{self.clips or 'all'}"


def material_of(sounds: Sounds, rows: NDArray[np.float16], case: Case) -> Material:
    """Return what a case learns from."""
    rng = np.random.default_rng([case.seed, case.fold])
    folds = [other for other in FOLDS if other != case.fold]

    def chosen(name: str) -> list[int]:
        found = sounds.of(folds, (name,))
        return found if case.clips is None else sorted(rng.permutation(found)[: case.clips].tolist())

    own = [track for k, name in enumerate(TARGETS) for track in tracks_of(rows, chosen(name), k)]
    other = [track for name in sounds.background for track in tracks_of(rows, chosen(name), -1)]
    silence = tracks_of(rows, range(len(sounds.names), len(rows)), -1)
    return Material(own, other, silence, len(TARGETS))


def run_row(work: Path, name: str, case: Case, material: Material, files: Sequence[Heard]) -> None:
    """Train what is not there yet, and keep its scores of the held-out files."""
    path = work / "scores" / f"{name}-{case}.npz"
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    begin, tracks = time.process_time(), [file.track for file in files]
    if name != "ours":
        material, directions = material.turned()
        tracks = [turn(track, directions) for track in tracks]
    found = ROWS[name][0](material, tracks, case.seed)
    partial = path.with_suffix(".part.npz")
    arrays: dict[str, Any] = {key: scores.numpy() for key, scores in found.items()}
    np.savez(partial, **arrays)
    partial.replace(path)
    labels = torch.tensor([track.label for track in tracks])
    said = ", ".join(
        f"{key} {float((scores.argmax(dim=1) == labels).float().mean()):.3f}" for key, scores in found.items()
    )
    seconds = time.process_time() - begin
    print(f"{case}: {said} ({seconds:.0f} s)", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m studies.untrimmed", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="ESC-10: a folder a class")
    parser.add_argument("--weights", type=Path, required=True, help="folder or file of YAMNet's weights")
    parser.add_argument("--work", type=Path, required=True, help="where what is finished is kept")
    parser.add_argument("--output", type=Path, default=Path("results/esc10-untrimmed"), help="without .json")
    parser.add_argument("--folds", type=int, nargs="+", default=list(FOLDS), help="which to train now")
    parser.add_argument("--report", action="store_true", help="only write the pages from what is finished")
    options = parser.parse_args(arguments)
    torch.set_num_threads(1)
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
    try:
        sounds, ears = read_sounds(options.data), Ears(options.weights, options.work)
        rows = clip_tracks(ears, sounds, options.work)
        if not options.report:
            train_all(options.work, sounds, ears, rows, options.folds)
        held_out = {fold: file_tracks(ears, sounds, fold, FILES, options.work) for fold in FOLDS}
        material = material_of(sounds, rows, Case(1, 0))
        checked = check_runtime(options.work, ears, sounds, held_out[1], material)
        write_report(options.output, Right(options.work, held_out), checked, planned())
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(json.dumps(checked))
    return 0


def train_all(
    work: Path, sounds: Sounds, ears: Ears, rows: NDArray[np.float16], folds: Sequence[int]
) -> None:
    """Train and test everything, first what says most: all rows once, then again, then with fewer clips."""
    held_out = {fold: file_tracks(ears, sounds, fold, FILES, work) for fold in folds}
    for name, case in cases(folds):
        run_row(work, name, case, material_of(sounds, rows, case), held_out[case.fold])


def cases(folds: Sequence[int]) -> Iterator[tuple[str, Case]]:
    """Yield what is trained, in order."""
    for seed in SEEDS:
        for fold in folds:
            yield from ((name, Case(fold, seed)) for name, (_, chance) in ROWS.items() if chance or not seed)
    for clips in CURVE:
        for fold in folds:
            yield from ((name, Case(fold, 0, clips)) for name in ("clip", "paper", "ours"))


def planned() -> list[str]:
    """Return the names of everything that is trained."""
    return [f"{name}-{case}" for name, case in cases(FOLDS)]


if __name__ == "__main__":
    sys.exit(main())
