"""Embeddings of every moment of a set's videos, computed once and kept on disk, pictures and sound apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.plan import MediaSettings
from training.config import Config
from training.errors import InputError
from training.frozen.encoders import (
    Run,
    Trunk,
    run_graph,
    run_torch,
    starting_trunks,
    weights_fingerprint,
    write_graph,
)
from training.frozen.views import count_views, square_side, views_of
from training.models import AudioEncoder, ImageEncoder, media_settings
from training.runs.code import code_fingerprint
from training.runs.devices import gather, lead_first, part, processes, wait
from training.runs.files import fingerprint, write_atomically, write_json
from training.runs.parallel import parallel_map
from training.videos.manifest import Video
from training.videos.segments import segment_times, silence_after
from training.videos.sets import load_sets

MODALITIES = ("image", "audio")

_BATCH = 32


@dataclass(frozen=True, slots=True)
class VideoEmbeddings:
    """What frozen trunks say of one video at the timestamps j * hop from its start on.

    Attributes:
        video: Where it comes from, and its truth.
        image: float16 [views, N, Ei], 1 to 4 views; the first is the centre crop that a plan sees, the others
            are for training alone.
        audio: float16 [N, Ea].
        image_valid, audio_valid: bool [N]; False where nothing could be decoded, and the row is zero.
        hop: Seconds from one timestamp to the next.
    """

    video: Video
    image: Tensor
    audio: Tensor
    image_valid: Tensor
    audio_valid: Tensor
    hop: float

    def __len__(self) -> int:
        return len(self.audio_valid)

    def modality(self, name: str) -> tuple[Tensor, Tensor]:
        """Return embeddings float16 [views, N, E] and validity [N] of "image", or of "audio" as one view."""
        if name == "image":
            return self.image, self.image_valid
        return self.audio[None], self.audio_valid


def extract_embeddings(config: Config, names: Sequence[str]) -> list[VideoEmbeddings]:
    """Return the embeddings of some sets; what an earlier run of the same trunks left is read, not computed.

    A file's embeddings are kept under what it is (path, size, time of change, segment), not under its set: a
    video that is to learn from in one fold and held out in another is computed once.

    Args:
        config: The run: ``model``, ``skim.hop``, ``student.flip``, ``seed``.
        names: Sets.

    Returns:
        One entry a readable video, in the sets' order; the others are named in ``embeddings/skipped.json``.

    Raises:
        InputError: If there are videos, and none can be read.
    """
    videos = [video for _, video in load_sets(config, names)]
    found = embed_videos(config, videos)
    if videos and not found:
        skipped = config.folder("embeddings", "skipped.json")
        raise InputError(f"of {len(videos)} videos, none can be learnt from; {skipped} says why")
    return found


def embed_videos(config: Config, videos: Sequence[Video]) -> list[VideoEmbeddings]:
    """Return the embeddings of videos; see :func:`extract_embeddings`. Unreadable ones are left out."""
    store = Store.of(config)
    missing = [
        _Job(video, tuple(name for name in store.folders if not _path(store, name, video).exists()))
        for video in videos
    ]
    missing = [job for job in missing if job.modalities]
    wait()  # until every process has looked what is missing
    if missing:
        skipped = dict(gather(list(_fill(config, store, part(missing)).items())))
        write_json(config.folder("embeddings", "skipped.json"), skipped)
        wait()
    found = (_read(store, video) for video in videos)
    return [embeddings for embeddings in found if embeddings is not None]


@dataclass(frozen=True, slots=True)
class Store:
    """Where the embeddings of a run's trunks are kept, and how they are made.

    Attributes:
        trunks: By modality.
        folders: By modality, of those that the student has; named by hashes of weights, media and code.
        media: How videos are decoded.
        flip: Whether mirrored pictures keep their class.
        seed: Draws the views.
    """

    trunks: Mapping[str, Trunk]
    folders: Mapping[str, Path]
    media: MediaSettings
    flip: bool
    seed: int

    @classmethod
    def of(cls, config: Config) -> Store:
        """Return the store of a run."""
        media = media_settings(config.model, config.skim.hop)
        trunks = starting_trunks(config)
        sizes = asdict(media)
        ways: dict[str, dict[str, Any]] = {
            "image": {name: sizes[name] for name in ("hop", "short_side", "crop")}
            | {"flip": config.student.flip, "seed": config.seed},
            "audio": {name: sizes[name] for name in ("hop", "sample_rate", "window")},
        }
        folders = {}
        for name in MODALITIES if config.student.streams == "both" else (config.student.streams,):
            trunk = trunks[name]
            made_by = fingerprint([weights_fingerprint(trunk), ways[name], _code(name)])
            folders[name] = config.folder("embeddings", f"{name}-{made_by}")
        return cls(trunks, folders, media, config.student.flip, config.seed)


@cache
def _code(modality: str) -> str:
    """Return the hash of all code that makes an embedding; looked up once a process."""
    encoder = ImageEncoder if modality == "image" else AudioEncoder
    return code_fingerprint(_decode, _embed, encoder, Trunk)


def _path(store: Store, modality: str, video: Video) -> Path:
    """Return where a video's embeddings of one modality are."""
    try:
        stat = video.path.stat()
        state: list[Any] = [str(video.path.resolve()), stat.st_size, stat.st_mtime_ns]
    except OSError:
        state = [str(video.path)]
    name = fingerprint([*state, video.start, video.end])
    return store.folders[modality] / f"{name}.safetensors"


@dataclass(frozen=True, slots=True)
class _Job:
    """A video, and the modalities that are still to be embedded."""

    video: Video
    modalities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Task:
    """What every job has in common; ``graphs`` where the decoding process embeds too."""

    media: MediaSettings
    flip: bool
    seed: int
    graphs: Mapping[str, Path]


@dataclass(frozen=True, slots=True)
class _Decoded:
    """A video's moments as they are decoded: squares uint8 [N, S, S, 3], float32 [N, window]; or None."""

    images: NDArray[np.uint8] | None
    image_valid: NDArray[np.bool_]
    samples: NDArray[np.float32] | None
    audio_valid: NDArray[np.bool_]


def _fill(config: Config, store: Store, jobs: Sequence[_Job]) -> dict[str, str]:
    """Fill the store; returns the videos that could not be read, and why.

    On CPUs every process decodes and embeds its own videos, each on one core: so all cores are busy to the
    end, and no thread waits for another. With a GPU the processes decode, and this one embeds.
    """
    device = processes().device
    graphs = {name: folder / "trunk.onnx" for name, folder in store.folders.items()}
    runs: dict[str, Run] = {}
    if device.type == "cpu":
        with lead_first():
            for name, path in graphs.items():
                if any(name in job.modalities for job in jobs):
                    write_graph(path, store.trunks[name], name, store.media)
    else:
        runs = {name: run_torch(trunk, device) for name, trunk in store.trunks.items()}
    task = _Task(store.media, store.flip, store.seed, {} if runs else graphs)
    skipped: dict[str, str] = {}
    results = parallel_map(partial(_work, task), jobs, config.workers)
    for number, (job, result) in enumerate(zip(jobs, results, strict=True)):
        if isinstance(result, str):
            skipped[str(job.video.path)] = result
            continue
        tensors = _embed(task, job, result, runs) if isinstance(result, _Decoded) else result
        for name in job.modalities:
            content = save(tensors[name])
            write_atomically(_path(store, name, job.video), partial(_put, content), by_any_process=True)
        if number % 50 == 49:
            print(f"embeddings: {number + 1} of {len(jobs)} videos", flush=True)
    return skipped


def _put(content: bytes, file: Any) -> None:
    file.write(content)


_Embedded = dict[str, dict[str, Tensor]]
"""By modality: ``rows`` float16 [views, N, E] and ``valid`` bool [N]."""


def _work(task: _Task, job: _Job) -> _Embedded | _Decoded | str:
    """Decode one video, and embed it where there is no GPU; or say why nothing of it can be decoded."""
    torch.set_num_threads(1)
    decoded = _decode(task.media, job)
    if isinstance(decoded, str) or not task.graphs:
        return decoded
    runs = {name: run_graph(task.graphs[name], 1) for name in job.modalities}
    return _embed(task, job, decoded, runs)


def _decode(media: MediaSettings, job: _Job) -> _Decoded | str:
    """Decode one video at its timestamps, or say why nothing of it can be decoded."""
    video = job.video
    images = samples = None
    try:
        with closing(open_media(video.path)) as source:
            times = segment_times(video, source.duration, media.hop)
            image_valid, audio_valid = np.zeros((2, len(times)), np.bool_)
            if source.has_video and "image" in job.modalities:
                frames = source.frames(times, short_side=media.short_side, crop=square_side(media))
                images, image_valid = frames.images, frames.valid
            if source.has_audio and "audio" in job.modalities:
                audio = source.audio_windows(times, window=media.window, sample_rate=media.sample_rate)
                samples, audio_valid = audio.samples, audio.valid
                silence_after(samples, times, video.end, media.sample_rate)
    except MediaError as error:
        return str(error)
    return _Decoded(images, image_valid, samples, audio_valid)


def _embed(task: _Task, job: _Job, decoded: _Decoded, runs: Mapping[str, Run]) -> _Embedded:
    """Return what is kept of one video: embeddings of the modalities asked for."""
    found: _Embedded = {}
    views: Iterator[NDArray[Any]]
    for name in job.modalities:
        if name == "image":
            valid, views = decoded.image_valid, _image_views(task, job.video, decoded)
        else:
            valid = decoded.audio_valid
            views = iter(() if decoded.samples is None else (decoded.samples,))
        rows = [_run(runs[name], view, valid) for view in views]
        found[name] = {
            "rows": torch.stack(rows) if rows else torch.zeros(1, len(valid), 0, dtype=torch.float16),
            "valid": torch.from_numpy(np.ascontiguousarray(valid)),
        }
    return found


def _image_views(task: _Task, video: Video, decoded: _Decoded) -> Iterator[NDArray[Any]]:
    if decoded.images is None:
        return
    count = count_views(len(decoded.images), task.media, flip=task.flip)
    squares = torch.from_numpy(decoded.images)
    for view in views_of(squares, task.media, video.path.name, count=count, flip=task.flip, seed=task.seed):
        yield view.contiguous().numpy()


def _run(run: Run, inputs: NDArray[Any], valid: NDArray[np.bool_]) -> Tensor:
    """Embed the valid rows; the others are zero."""
    chosen = np.flatnonzero(valid)
    parts = [run(inputs[chosen[first : first + _BATCH]]) for first in range(0, len(chosen), _BATCH)]
    if not parts:
        return torch.zeros(len(valid), 0, dtype=torch.float16)
    rows = np.zeros((len(valid), parts[0].shape[1]), np.float32)
    rows[chosen] = np.concatenate(parts)
    return torch.from_numpy(rows).half()


def _read(store: Store, video: Video) -> VideoEmbeddings | None:
    """Return what is kept of a video; None if it could not be read."""
    kept = {}
    for name in store.folders:
        path = _path(store, name, video)
        if not path.exists():
            return None
        kept[name] = load_file(path)
    moments = len(next(iter(kept.values()))["valid"])
    rows, valid = {}, {}
    for name in MODALITIES:
        found = kept.get(name)
        valid[name] = torch.zeros(moments, dtype=torch.bool) if found is None else found["valid"]
        if found is None or not found["rows"].shape[2]:
            rows[name] = torch.zeros(1, moments, store.trunks[name].size, dtype=torch.float16)
        else:
            rows[name] = found["rows"]
    return VideoEmbeddings(
        video, rows["image"], rows["audio"][0], valid["image"], valid["audio"], store.media.hop
    )
