"""The trunks that embeddings come from: as training starts them, and as graphs that CPUs run fast."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from l2l_engine.plan import MediaSettings
from training.clips.students import new_student
from training.config import Config
from training.export.graphs import compare, example_inputs, to_onnx
from training.export.precisions import INPUT_NAMES
from training.export.running import runner
from training.models.encoder import FeatureEncoder
from training.runs.files import write_atomically
from training.runs.seeds import seed_everything

Run = Callable[[NDArray[Any]], NDArray[np.float32]]
"""From inputs [P, ...] to embeddings [P, E]."""


class Trunk(nn.Module):
    """An encoder up to its embedding, which the projection to the size of features is given.

    Attributes:
        size: E, the size of an embedding.
    """

    def __init__(self, encoder: FeatureEncoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.size = encoder.embedding_size

    def forward(self, inputs: Tensor) -> Tensor:
        """Return embeddings float32 [B, E] of a batch."""
        return self.encoder.embed(inputs)


def starting_trunks(config: Config) -> dict[str, Trunk]:
    """Return the trunks with which the run's student starts, by modality, in evaluation mode."""
    with torch.random.fork_rng(devices=[]):
        seed_everything(config.seed)
        student = new_student(config.model, 1)
    return {name: Trunk(getattr(student, name)).eval() for name in ("image", "audio")}


def weights_fingerprint(trunk: Trunk) -> str:
    """Return a short hash of all that a trunk computes with."""
    digest = hashlib.sha256()
    for name, value in [*trunk.named_parameters(), *trunk.named_buffers()]:
        if not name.startswith("encoder.project."):
            digest.update(f"{name} {tuple(value.shape)} ".encode())
            digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:12]


def write_graph(path: Path, trunk: Trunk, modality: str, media: MediaSettings) -> None:
    """Write a trunk's graph, unless it is there.

    OpenVINO computes it in float32 at a quarter of the processor time that PyTorch takes layer by layer (12
    to 44 ms a frame of EfficientNet-Lite0 at 224 pixels on one core). Both agree: the graph is compared with
    PyTorch as it is made, and is as the plan's but for the projection, which is linear.

    Raises:
        RuntimeError: If the graph computes something else than PyTorch does.
    """
    if path.exists():
        return
    examples = dict(zip(("image", "audio"), example_inputs(media, 3), strict=True))
    graph = to_onnx(trunk, examples[modality], INPUT_NAMES[modality])
    compare(trunk, graph, examples[modality])
    write_atomically(path, lambda file: file.write(graph))


@lru_cache(maxsize=4)
def run_graph(path: Path, threads: int) -> Run:
    """Return what runs a graph, ready; once a process."""
    return runner(path.read_bytes(), threads)


def run_torch(trunk: Trunk, device: torch.device) -> Run:
    """Return what runs a trunk by PyTorch, where there is a GPU."""
    trunk = trunk.to(device)

    @torch.inference_mode()
    def run(inputs: NDArray[Any]) -> NDArray[np.float32]:
        found: NDArray[np.float32] = trunk(torch.from_numpy(inputs).to(device)).float().cpu().numpy()
        return found

    return run
