"""Image and audio features of every timestamp of a video set, cached on disk, one file a video."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import IO

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from l2l_engine.errors import MediaError
from l2l_engine.media import open_media
from l2l_engine.plan import MediaSettings
from training.clips.students import load_student, student_path
from training.config import Config
from training.models import Student, media_settings
from training.runs.code import code_fingerprint
from training.runs.devices import gather, part, place, processes, wait
from training.runs.files import file_fingerprint, fingerprint, write_atomically, write_json
from training.runs.parallel import parallel_map
from training.videos.manifest import Video
from training.videos.segments import segment_times, silence_after
from training.videos.sets import load_sets


@dataclass(frozen=True, slots=True)
class VideoFeatures:
    """One video as the skimmer sees it: features at the timestamps j * hop from its start on.

    Attributes:
        video: Where it comes from, and its truth.
        image, audio: float32 [N, D].
        image_valid, audio_valid: bool [N]; False where nothing could be decoded.
        hop: Seconds from one timestamp to the next.
    """

    video: Video
    image: Tensor
    audio: Tensor
    image_valid: Tensor
    audio_valid: Tensor
    hop: float

    def inside(self) -> Tensor:
        """Return which timestamps lie in a stretch of the action: bool [N]."""
        times = self.video.start + self.hop * torch.arange(len(self.image), dtype=torch.float64)
        inside = torch.zeros(len(times), dtype=torch.bool)
        for start, end in self.video.stretches:
            inside |= (times >= start) & (times < end)
        return inside


def extract_features(config: Config, names: Sequence[str]) -> list[VideoFeatures]:
    """Return the features of some sets; what an earlier run of the same student left is read, not computed.

    Several processes compute a part each, and then read all of them.

    Returns:
        One entry a readable video; the others are named in ``skipped.json``.
    """
    torch.set_num_threads(config.threads)
    media, places = media_settings(config.model, config.skim.hop), feature_places(config, names)
    missing = [(path, video) for path, video in places.items() if not path.exists()]
    wait()  # until every process has looked what is missing
    if missing:
        student = load_student(config)[0].to(processes().device)
        decode = partial(_decode, media, "image" in config.skim.modalities)
        skipped = _extract(student, part(missing), decode, config.workers)
        write_json(missing[0][0].parents[1] / "skipped.json", dict(gather(list(skipped.items()))))
        wait()
    return [_read(path, video, media.hop) for path, video in places.items() if path.exists()]


def feature_places(config: Config, names: Sequence[str]) -> dict[Path, Video]:
    """Return the videos of some sets by the file that keeps their features, whether it is there or not."""
    media = media_settings(config.model, config.skim.hop)
    made_by = [file_fingerprint(student_path(config)), asdict(media), code_fingerprint(_decode, encode)]
    made_by += [] if "image" in config.skim.modalities else ["sound alone"]
    cache = config.folder("features", fingerprint(made_by))
    return {cache / name / f"{video.name}.safetensors": video for name, video in load_sets(config, names)}


def _extract(
    student: Student,
    missing: Sequence[tuple[Path, Video]],
    decode: Callable[[Video], _Decoded | str],
    workers: int,
) -> dict[str, str]:
    """Fill the cache; returns the videos that could not be read, and why."""
    skipped: dict[str, str] = {}
    decoded = parallel_map(decode, [video for _, video in missing], workers)
    for number, ((path, video), result) in enumerate(zip(missing, decoded, strict=True)):
        if isinstance(result, str):
            skipped[str(video.path)] = result
            continue
        content = save(encode(student, result))
        write_atomically(path, partial(_put, content), by_any_process=True)
        if number % 50 == 49:
            print(f"features: {number + 1} of {len(missing)} videos", flush=True)
    return skipped


def _put(content: bytes, file: IO[bytes]) -> None:
    file.write(content)


@dataclass(frozen=True, slots=True)
class _Decoded:
    """Frames [N, H, W, 3], none where there are no pictures, and windows [N, samples]."""

    images: NDArray[np.uint8]
    image_valid: NDArray[np.bool_]
    samples: NDArray[np.float32]
    audio_valid: NDArray[np.bool_]


def _decode(media: MediaSettings, looks: bool, video: Video) -> _Decoded | str:
    """Decode one video at its timestamps, its pictures only if ``looks``, or say why nothing can be."""
    try:
        with closing(open_media(video.path)) as source:
            times = segment_times(video, source.duration, media.hop)
            images = np.zeros((0, media.crop, media.crop, 3), np.uint8)
            samples = np.zeros((len(times), media.window), np.float32)
            image_valid, audio_valid = np.zeros((2, len(times)), np.bool_)
            if looks and source.has_video:
                frames = source.frames(times, short_side=media.short_side, crop=media.crop)
                images, image_valid = frames.images, frames.valid
            if source.has_audio:
                audio = source.audio_windows(times, window=media.window, sample_rate=media.sample_rate)
                samples, audio_valid = audio.samples, audio.valid
                silence_after(samples, times, video.end, media.sample_rate)
    except MediaError as error:
        return str(error)
    return _Decoded(images, image_valid, samples, audio_valid)


@torch.inference_mode()
def encode(student: Student, decoded: _Decoded, batch: int = 64) -> dict[str, Tensor]:
    """Return the tensors that are cached for one video; without pictures, zeros for their features."""
    images, samples = torch.from_numpy(decoded.images), torch.from_numpy(decoded.samples)
    images, samples = place(student, images, samples)
    seen = torch.zeros(len(samples), student.image.features)
    if len(images):
        seen = torch.cat([student.image(rows) for rows in torch.split(images, batch)])
    return {
        "image": seen.half().cpu(),
        "audio": torch.cat([student.audio(rows) for rows in torch.split(samples, batch)]).half().cpu(),
        "image_valid": torch.from_numpy(decoded.image_valid),
        "audio_valid": torch.from_numpy(decoded.audio_valid),
    }


def _read(path: Path, video: Video, hop: float) -> VideoFeatures:
    with safe_open(path, framework="pt") as file:
        return VideoFeatures(
            video=video,
            image=file.get_tensor("image").float(),
            audio=file.get_tensor("audio").float(),
            image_valid=file.get_tensor("image_valid"),
            audio_valid=file.get_tensor("audio_valid"),
            hop=hop,
        )
