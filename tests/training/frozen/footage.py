"""A small set of clips that can be told apart by their stripes and by their tones."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import av
import numpy as np

from training.config import Config, load_config

SECONDS, RATE, SOUND_RATE, SIDE = 2.0, 10, 16000, 128

SETTINGS = """
work = "{folder}/work"
plan = "{folder}/tiny.plan"
seed = 7
threads = 1
workers = 0
factor = 2

[sets.train]
manifest = "{folder}"
split = "train"

[sets.test]
manifest = "{folder}"
split = "test"

[model]
image_width = 0.125
audio_width = 0.125
features = 24
fusion = 32
keys = 8
hidden = 16

[student]
train = ["train"]
validation = ["train"]
pairs = 2
epochs = 2
batch = 8

[skim]
train = ["train"]
validation = ["train"]
steps = 3
updates = 6
batch = 4
checkpoint_every = 3
"""


def write_footage(folder: Path, trunks: Path | None = None, *, classes: int = 3, videos: int = 4) -> Config:
    """Write clips of some classes, of each the last held out, a manifest, and the settings of a run.

    Args:
        folder: Of all of it.
        trunks: Where graphs of the same trunks are.
        classes: How many.
        videos: Of each, to learn from.
    """
    if trunks is not None:
        shutil.copytree(trunks, folder / "work/embeddings", ignore=shutil.ignore_patterns("*.safetensors"))
    lines = []
    for label in range(classes):
        for number in range(videos + 1):
            path = folder / f"{label}-{number}.mkv"
            write_clip(path, label, number)
            split = "test" if number == videos else "train"
            lines.append(json.dumps(entry(path, f"class {label}", split)))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n")
    (folder / "tiny.toml").write_text(SETTINGS.format(folder=folder))
    return load_config(folder / "tiny.toml")


def entry(path: Path, label: str, split: str) -> dict[str, object]:
    """A line of a manifest."""
    return {
        "path": path.name,
        "name": path.stem,
        "labels": [label],
        "split": split,
        "duration": SECONDS,
        "stretches": [[0.0, SECONDS]],
        "has_video": True,
        "has_audio": True,
    }


def write_clip(
    path: Path,
    label: int,
    number: int,
    *,
    pictures: bool = True,
    sound: bool = True,
    seconds: float = SECONDS,
) -> None:
    """Write a clip whose stripes and tone say its class, and whose light and noise are its own."""
    rng = np.random.default_rng((label, number))
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast"}) if pictures else None
        audio = out.add_stream("pcm_s16le", rate=SOUND_RATE, layout="mono") if sound else None
        if video is not None:
            video.width, video.height, video.pix_fmt = SIDE + 32, SIDE, "yuv420p"
            for index in range(round(seconds * RATE)):
                picture = av.VideoFrame.from_ndarray(_stripes(rng, label, index), format="rgb24")
                picture.pts = index
                out.mux(video.encode(picture))
            out.mux(video.encode())
        if audio is not None:
            times = np.arange(round(seconds * SOUND_RATE)) / SOUND_RATE
            tone = 0.3 * np.sin(2 * np.pi * 300 * 2.0**label * times) + 0.1 * rng.standard_normal(len(times))
            samples = (tone.clip(-1, 1) * 32767).astype(np.int16)[None]
            heard = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            heard.rate, heard.pts = SOUND_RATE, 0
            out.mux(audio.encode(heard))
            out.mux(audio.encode())


def _stripes(rng: np.random.Generator, label: int, index: int) -> np.ndarray:
    across = np.arange(SIDE + 32)[None] if label % 2 else np.arange(SIDE)[:, None]
    wave = np.sin(across / (2.0 + 3 * label) + index)
    image = 127 + 60 * wave[..., None] + rng.normal(0, 20, (SIDE, SIDE + 32, 3)) + rng.normal(0, 25, 3)
    return image.clip(0, 255).astype(np.uint8)
