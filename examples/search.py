"""A small search over a folder: "find moments like this one".

Run:  l2l features videos/ --plan demo/demo.plan --output features.parquet
      python examples/search.py features.parquet videos/one.mp4 12.5
      python examples/search.py features.parquet videos/one.mp4          (files like the whole of it)

Pictures and sounds are compared each for itself, by the cosine between their features. With faiss installed
(pip install faiss-cpu) it does the comparing; its index is exact, so the answers are the same.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from l2l_engine import Features, embeddings

try:
    import faiss
except ImportError:
    faiss = None


@dataclass(frozen=True)
class Index:
    """Unit vectors [M, 2 D] of moments of files: what is seen beside what is heard.

    A modality that a file lacks is a vector of zeros, and like nothing.
    """

    paths: list[str]
    seconds: np.ndarray
    vectors: np.ndarray

    def nearest(self, query: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Likeness, 1 at most, and number of the rows most like ``query``, the most first."""
        count = min(count, len(self.vectors))
        if faiss is not None:
            index = faiss.IndexFlatIP(self.vectors.shape[1])
            index.add(np.ascontiguousarray(self.vectors, np.float32))
            likeness, rows = index.search(np.ascontiguousarray(query[None], np.float32), count)
            return likeness[0], rows[0]
        likeness = self.vectors @ query
        rows = np.argsort(-likeness, kind="stable")[:count]
        return likeness[rows], rows


def directions(bank: np.ndarray, middle: np.ndarray) -> np.ndarray:
    """Where features lie from the middle of all of them, as vectors; those of both senses have length 1."""
    away = bank - middle
    return away / np.maximum(np.linalg.norm(away, axis=1, keepdims=True), 1e-12) / np.sqrt(2)


def moments(files: dict[str, Features], whole: bool) -> Index:
    """The moments of all files, or with ``whole`` the mean of each."""
    banks = {
        sense: [getattr(kept, f"{sense}_bank") for kept in files.values()] for sense in ("image", "audio")
    }
    middle = {
        sense: np.concatenate([bank for bank in some if bank is not None]).mean(axis=0)
        for sense, some in banks.items()
        if any(bank is not None for bank in some)
    }
    paths, seconds, vectors = [], [], []
    for path, kept in files.items():
        axis = kept.audio_times if kept.image_times is None else kept.image_times
        sides = []
        for sense, centre in middle.items():
            bank, times = getattr(kept, f"{sense}_bank"), getattr(kept, f"{sense}_times")
            if bank is None:
                sides.append(np.zeros((len(axis), len(centre))))
            else:  # the feature next to each moment
                sides.append(directions(bank, centre)[np.abs(axis[:, None] - times).argmin(axis=1)])
        rows = np.concatenate(sides, axis=1)
        if whole:
            axis, rows = axis[:1], directions(rows.mean(axis=0, keepdims=True), 0.0) * np.sqrt(2)
        paths += [path] * len(axis)
        seconds.append(axis)
        vectors.append(rows)
    return Index(paths, np.concatenate(seconds), np.concatenate(vectors).astype(np.float32))


def search(
    files: dict[str, Features], path: str, second: float | None, count: int
) -> list[tuple[float, str, float]]:
    """Likeness, path and second of what is most like a moment of a file, or all of it, in other files."""
    index = moments(files, whole=second is None)
    own = np.array([name == path for name in index.paths])
    if not own.any():
        raise SystemExit(f"{path} is not among the files: {', '.join(files)}")
    here = np.flatnonzero(own)[np.abs(index.seconds[own] - (second or 0.0)).argmin()]
    others = Index(
        [name for name, same in zip(index.paths, own, strict=True) if not same],
        index.seconds[~own],
        index.vectors[~own],
    )
    likeness, rows = others.nearest(index.vectors[here], count)
    return [
        (float(value), others.paths[row], float(others.seconds[row]))
        for value, row in zip(likeness, rows, strict=True)
    ]


def main() -> None:
    """Print what was found."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("features", type=Path, help="what `l2l features` wrote")
    parser.add_argument("path", help="one of its files")
    parser.add_argument("second", type=float, nargs="?", help="a moment of it; without, the whole file")
    parser.add_argument("--count", type=int, default=5)
    words = parser.parse_args()
    for likeness, path, second in search(
        embeddings.read(words.features), words.path, words.second, words.count
    ):
        where = "" if words.second is None else f" at {second:.1f} s"
        print(f"{likeness:6.3f}  {path}{where}")


if __name__ == "__main__":
    main()
