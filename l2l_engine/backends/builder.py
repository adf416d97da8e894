"""What a backend offers that can turn a graph into an engine before it is needed."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from l2l_engine.errors import PlanError

Batch = tuple[int, int, int]
"""Samples a call that an engine is built for: least, best, most."""


class Builder(Protocol):
    """Builds engines: bytes that their backend loads faster than the graph they come from."""

    @property
    def name(self) -> str:
        """The backend's name in ``compiled.<backend>.<part>``."""

    @property
    def version(self) -> str:
        """Version of the backend's library; another version need not take the engine."""

    @property
    def device(self) -> str:
        """What the engines run on; equal words mean that an engine can be used."""

    @property
    def any_batch(self) -> bool:
        """Whether an engine takes any number of samples, so that no :data:`Batch` is asked for."""

    def build(self, name: str, graph: bytes, *, dtype: type[np.generic], batch: Batch | None) -> bytes:
        """The engine of one graph.

        Args:
            name: The graph's name in the plan, for messages.
            graph: ONNX bytes: one input [B, ...] of ``dtype``, one output [B, D].
            dtype: What the graph must take.
            batch: Sizes B; None if ``any_batch``.

        Raises:
            PlanError: If the graph is none, or takes or gives something else.
            DeviceError: If this machine lacks something that building takes.
        """


def require_self_contained(name: str, graph: bytes) -> None:
    """Refuse a graph that keeps data in other files.

    Raises:
        PlanError: If it does.
    """
    # ONNX keeps weights outside the graph behind this key; a plan must never open another file.
    if b"location" in graph:
        raise PlanError(f"graph.{name} refers to data outside the plan")
