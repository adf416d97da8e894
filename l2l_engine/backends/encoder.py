"""What the rest of the engine asks of an encoder, whoever runs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

Encode = Callable[[NDArray[Any]], NDArray[np.float32]]


class Encoder(Protocol):
    """One network that turns a batch of frames or audio windows into features.

    ``encode`` may be called from many threads at once.
    """

    @property
    def precision(self) -> str:
        """The arithmetic really used, e.g. "fp32" or "bf16"."""

    @property
    def input_shape(self) -> tuple[int, ...]:
        """Shape of one sample, without the batch axis."""

    @property
    def features(self) -> int:
        """Length D of the feature."""

    def encode(self, batch: NDArray[Any]) -> NDArray[np.float32]:
        """Features [B, D] of a batch [B, ...]; row i depends on sample i alone."""


class ReplicatedEncoder(Encoder, Protocol):
    """An encoder that keeps a replica of its network for each thread that is inside ``encode``."""

    def replicas(self, count: int) -> AbstractContextManager[Sequence[Encode]]:
        """Hold ``count`` replicas: each is an ``encode`` of its own, for one thread at a time."""
