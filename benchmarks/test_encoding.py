"""The encoders alone: the plan's graphs by OpenVINO, and the same networks in eager PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.conftest import THREADS, Bench
from benchmarks.harness import OURS, wall
from benchmarks.networks import PAPER, SMALL, networks
from l2l_engine.loading import Precision, load_encoders

PLAIN = "PyTorch eager fp32"


@pytest.mark.parametrize("precision", ["auto", "fp32"])
@pytest.mark.parametrize("batch", [1, 32])
@pytest.mark.parametrize("part", ["image", "audio"])
def test_encoding(bench: Bench, part: str, batch: int, precision: Precision) -> None:
    nets = networks(PAPER if bench.timed else SMALL)
    encoder = load_encoders(nets.plan, THREADS, precision=precision)[part]
    network = nets.image if part == "image" else nets.audio
    rng = np.random.default_rng(0)
    samples = (
        rng.integers(0, 256, (batch, *encoder.input_shape), np.uint8)
        if part == "image"
        else (0.2 * rng.standard_normal((batch, *encoder.input_shape))).astype(np.float32)
    )
    tensor = torch.from_numpy(samples)

    @torch.inference_mode()
    def plain() -> np.ndarray:
        return network(tensor).numpy()

    theirs = plain()
    assert np.abs(encoder.encode(samples) - theirs).max() < 0.1 * np.abs(theirs).max()
    title = f"{part}, batch {batch}, {encoder.precision}"
    contestants = {OURS: wall(lambda: encoder.encode(samples)), PLAIN: wall(plain)}
    case = bench.race("encoding", title, contestants, 40 if batch == 1 else 9, warmups=2)
    case.faster_than(PLAIN)
