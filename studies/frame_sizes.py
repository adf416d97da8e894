"""What an encoder's own sizes of frames and windows cost: decoding, computing, bytes.

    python -m studies.frame_sizes --output results/frame-sizes.json

Seconds are of the processor, of all threads, so that a busy machine measures about what an idle one does.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch

from benchmarks.media.encode import Recipe, write
from benchmarks.results import machine
from l2l_engine.media import open_media
from l2l_engine.plan import MediaSettings
from training.clips.pairs import spare
from training.config import ModelConfig
from training.export.graphs import example_inputs, to_onnx
from training.models import AudioEncoder, ImageEncoder, media_settings
from training.tables.macs import count

RECIPES = {
    "640x360": Recipe(20, 640, 360, gop=250, video_bits=300_000, seed=1),
    "1280x720": Recipe(20, 1280, 720, gop=250, video_bits=700_000, seed=2),
}
EVERY = 0.5
"""Seconds from frame to frame that is decoded: every timestamp, as training decodes."""
BATCH, ROUNDS = 8, 5
EYES: dict[str, ModelConfig] = {
    "resnet18": ModelConfig(),
    "efficientnet_lite0": ModelConfig(image="efficientnet_lite0"),
    "mobilenet_v3_small": ModelConfig(image="mobilenet_v3_small"),
}
EARS = ("resnet18", "yamnet", "efficientnet_lite0", "mobilenet_v3_small")


def measure(recipes: Mapping[str, Recipe], rounds: int = ROUNDS) -> dict[str, Any]:
    """Return the record: what each image encoder and each audio encoder costs."""
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder, f"{name}.mp4") for name in recipes}
        for name, recipe in recipes.items():
            write(recipe, paths[name])
        eyes = {name: _seen(model, paths, rounds) for name, model in EYES.items()}
    return {"machine": machine(), "image": eyes, "audio": {name: _heard(name, rounds) for name in EARS}}


def _seen(model: ModelConfig, paths: Mapping[str, Path], rounds: int) -> dict[str, Any]:
    media = media_settings(model)
    encoder = ImageEncoder(name=model.image).eval()
    images = example_inputs(media, BATCH)[0]
    return {
        "crop": media.crop,
        "short_side": media.short_side,
        "gmac": round(count(encoder, images[:1]) / 1e9, 3),
        "ms": _ms(encoder, images, "images", rounds),
        "decode_ms": {name: _decode_ms(path, media, rounds) for name, path in paths.items()},
        "bytes_of_a_pair": 3 * media.short_side**2,
        "bytes_at_once": 3 * media.crop**2,
    }


def _heard(name: str, rounds: int) -> dict[str, Any]:
    media = media_settings(ModelConfig(audio=name))
    encoder = AudioEncoder(name=name).eval()
    samples = example_inputs(media, BATCH)[1]
    return {
        "window": media.window,
        "gmac": round(count(encoder, samples[:1]) / 1e9, 3),
        "ms": _ms(encoder, samples, "samples", rounds),
        "bytes_of_a_pair": 2 * (media.window + spare(media)),
    }


def _ms(encoder: torch.nn.Module, inputs: torch.Tensor, name: str, rounds: int) -> float:
    """Return CPU-milliseconds of a sample in OpenVINO, fp32, one thread."""
    core = openvino.Core()
    settings = {"INFERENCE_PRECISION_HINT": "f32", "INFERENCE_NUM_THREADS": 1}
    graph = core.compile_model(core.read_model(to_onnx(encoder, inputs[:2], name)), "CPU", settings)
    return round(1e3 * _least(lambda: graph([inputs.numpy()]), rounds) / len(inputs), 2)


def _decode_ms(path: Path, media: MediaSettings, rounds: int) -> float:
    """Return CPU-milliseconds of a frame: all that lies before it decoded, made small, cut."""
    with closing(open_media(path)) as source:
        times = np.arange(0.0, source.duration - 0.1, EVERY)

    def decode() -> None:
        with closing(open_media(path)) as source:
            source.frames(times, short_side=media.short_side, crop=media.crop)

    return round(1e3 * _least(decode, rounds) / len(times), 2)


def _least(work: Callable[[], object], rounds: int) -> float:
    """Return the least CPU-seconds of some calls, after one that does not count."""
    work()
    found = []
    for _ in range(rounds):
        begin = time.process_time()
        work()
        found.append(time.process_time() - begin)
    return min(found)


def table(record: Mapping[str, Any]) -> str:
    """Write a record as the two tables of docs/training.md."""
    places = list(next(iter(record["image"].values()))["decode_ms"])
    decoding = " | ".join(f"decode {place}" for place in places)
    lines = [
        f"| image encoder | sees | 10⁹ multiply-adds | network | {decoding} | a pair on disk |",
        f"| --- | --- | --- | --- | {' | '.join('---' for _ in places)} | --- |",
    ]
    for name, row in record["image"].items():
        decode = " | ".join(f"{row['decode_ms'][place]:.1f} ms" for place in places)
        lines.append(
            f"| `{name}` | {row['crop']} of {row['short_side']} | {row['gmac']:.2f} | {row['ms']:.1f} ms "
            f"| {decode} | {row['bytes_of_a_pair'] / 1e3:.0f} kB |"
        )
    lines += ["", "| audio encoder | hears | 10⁹ multiply-adds | network | a pair on disk |"]
    lines.append("| --- | --- | --- | --- | --- |")
    for name, row in record["audio"].items():
        lines.append(
            f"| `{name}` | {row['window']:,} samples | {row['gmac']:.2f} | {row['ms']:.1f} ms "
            f"| {row['bytes_of_a_pair'] / 1e3:.0f} kB |"
        )
    return "\n".join(lines)


def main(words: Sequence[str] | None = None) -> int:
    """Run the command, and return its exit status."""
    parser = argparse.ArgumentParser(prog="python -m studies.frame_sizes")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="calls, of which the least counts")
    parser.add_argument("--output", type=Path, required=True, help="JSON file to write")
    options = parser.parse_args(words)
    record = measure(RECIPES, options.rounds)
    options.output.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    print(table(record))
    return 0


if __name__ == "__main__":
    sys.exit(main())
