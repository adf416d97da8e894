"""Features of whole videos by a plan's own encoders, cached on disk: as it samples, or at every timestamp."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file, save

from l2l_engine import Classifier, Features
from l2l_engine.errors import MediaError
from l2l_engine.plan import Plan, SamplingSettings, write_plan
from training.runs.files import fingerprint, write_atomically
from training.videos.manifest import Video

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Banks:
    """Features of one file, or of a segment of one; times are seconds of the file.

    Attributes:
        image, audio: float32 [M, D]; None where there is nothing.
        image_times, audio_times: float64 [M], increasing.
        timestamps: float64 [N].
    """

    image: Floats | None
    image_times: Doubles | None
    audio: Floats | None
    audio_times: Doubles | None
    timestamps: Doubles

    def rows(self, modality: str) -> tuple[Floats, Doubles] | None:
        """Return features and times of "image" or "audio", if there are any."""
        rows, times = getattr(self, modality), getattr(self, f"{modality}_times")
        return None if rows is None or times is None or not len(times) else (rows, times)

    def take(self, modality: str, chosen: NDArray[np.int64] | NDArray[np.bool_]) -> Banks:
        """Return the same with some knots of one modality; of none it is absent."""
        found = self.rows(modality)
        rows, times = (None, None) if found is None else (found[0][chosen], found[1][chosen])
        if times is None or not len(times):
            rows = times = None
        return self.having(modality, rows, times)

    def having(self, modality: str, rows: Floats | None, times: Doubles | None) -> Banks:
        """Return the same with other features of "image" or "audio"; None for none."""
        if modality == "image":
            return replace(self, image=rows, image_times=times)
        return replace(self, audio=rows, audio_times=times)

    def within(self, video: Video) -> Banks:
        """Return what lies in a segment of the file."""
        if video.end is None and not video.start:
            return self
        end = np.inf if video.end is None else video.end
        cut = replace(self, timestamps=_inside(self.timestamps, video.start, end))
        for modality in ("image", "audio"):
            found = self.rows(modality)
            if found is not None:
                cut = cut.take(modality, (found[1] >= video.start) & (found[1] < end))
        return cut


def merged(banks: Banks, dense: Banks, at: NDArray[np.bool_]) -> Banks:
    """Return ``banks`` with knots of ``dense`` at the timestamps of those for which ``at`` [N] is true."""
    wanted = dense.timestamps[at]
    for modality in ("image", "audio"):
        one, other = banks.rows(modality), dense.rows(modality)
        if one is None or other is None:
            continue
        new = np.isin(other[1], wanted) & ~np.isin(other[1], one[1])
        times = np.concatenate([one[1], other[1][new]])
        order = np.argsort(times, kind="stable")
        banks = banks.having(modality, np.concatenate([one[0], other[0][new]])[order], times[order])
    return banks


def _inside(times: Doubles, start: float, end: float) -> Doubles:
    return times[(times >= start) & (times < end)]


def extract_banks(plan: Plan, videos: Sequence[Video], work: Path, *, dense: bool) -> dict[str, Banks]:
    """Return the banks of videos by name; what an earlier run of the same encoders left is read.

    Args:
        plan: Its encoders and, unless ``dense``, its sampling.
        videos: Files, or segments of files; those that cannot be read are left out.
        work: Folder of the cache.
        dense: Whether a frame and a window of every timestamp are wanted.
    """
    folder = work / "moments" / fingerprint(_made_by(plan, dense=dense))
    missing = [video for video in videos if not _path(folder, video).exists()]
    if missing:
        with _classifier(plan, dense=dense) as classifier:
            for number, video in enumerate(missing, start=1):
                _extract(classifier, video, folder, dense=dense)
                if number % 50 == 0:
                    print(f"moments: {number} of {len(missing)} files", flush=True)
    read = ((video, _read(_path(folder, video))) for video in videos)
    return {video.name: banks.within(video) for video, banks in read if banks is not None}


def _made_by(plan: Plan, *, dense: bool) -> list[object]:
    graphs = {name: entry["sha256"] for name, entry in plan.tensors.items() if name.startswith("graph.")}
    document = plan.document
    sampling = "dense" if dense else asdict(document.sampling)
    return [graphs, asdict(document.media), list(document.modalities), sampling]


def _path(folder: Path, video: Video) -> Path:
    """Return where a file's banks are; whatever is cut out of it, they are of the whole file."""
    try:
        stat = video.path.stat()
        state: list[object] = [str(video.path.resolve()), stat.st_size, stat.st_mtime_ns]
    except OSError:
        state = [str(video.path)]
    return folder / f"{fingerprint(state)}.safetensors"


@contextmanager
def _classifier(plan: Plan, *, dense: bool) -> Iterator[Classifier]:
    """Open the plan, or a copy of it that decodes every timestamp."""
    if not dense:
        with Classifier(plan.path) as classifier:
            yield classifier
        return
    hop = plan.document.media.hop
    every = SamplingSettings(factor=1, max_image_gap_s=hop, max_audio_gap_s=hop)
    with tempfile.TemporaryDirectory() as folder:
        document = replace(plan.document, sampling=every, compiled={})
        path = Path(folder, "dense.plan")
        write_plan(path, document, graphs=plan.graphs, skim=plan.skim)
        with Classifier(path) as classifier:
            yield classifier


def _extract(classifier: Classifier, video: Video, folder: Path, *, dense: bool) -> None:
    path = _path(folder, video)
    if path.exists():  # another segment of the same file
        return
    try:
        features = classifier.features(video.path, sampling="exact" if dense else "auto")
    except MediaError as error:
        print(f"moments: {video.path} is left out: {error}", flush=True)
        return
    content = save(_tensors(features))
    write_atomically(path, lambda file: file.write(content), by_any_process=True)


def banks_of(features: Features) -> Banks:
    """Return a file's features as banks."""
    return Banks(
        features.image_bank,
        features.image_times,
        features.audio_bank,
        features.audio_times,
        features.timestamps,
    )


def _tensors(features: Features) -> dict[str, NDArray[np.float32] | Doubles]:
    named = {
        "image": features.image_bank,
        "image_times": features.image_times,
        "audio": features.audio_bank,
        "audio_times": features.audio_times,
        "timestamps": features.timestamps,
    }
    return {name: np.ascontiguousarray(rows) for name, rows in named.items() if rows is not None}


def _read(path: Path) -> Banks | None:
    if not path.exists():
        return None
    kept = load_file(path)
    return Banks(
        kept.get("image"),
        kept.get("image_times"),
        kept.get("audio"),
        kept.get("audio_times"),
        kept["timestamps"],
    )
