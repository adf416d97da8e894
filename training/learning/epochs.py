"""Passes over shuffled samples: what every training on clips does, the loop and all that is around it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from training.config import Pace
from training.learning.learner import Learner
from training.runs.checkpoint import Checkpoint, save_network
from training.runs.devices import share
from training.runs.seeds import seed_everything

_Network = TypeVar("_Network", bound=nn.Module)


@dataclass(frozen=True, slots=True)
class Schedule(Pace):
    """How long and how fast, and how carefully.

    Attributes:
        clip: Greatest norm of the gradient.
        precision: "fp32", "bf16", "fp16" or "auto".
    """

    clip: float = 5.0
    precision: str = "auto"

    @classmethod
    def of(cls, pace: Pace, precision: str) -> Schedule:
        """Make the schedule that the settings of a stage ask for."""
        return cls(pace.epochs, pace.batch, pace.rate, pace.weight_decay, precision=precision)


def train_stage(
    folder: Path,
    depends_on: dict[str, Any],
    *,
    build: Callable[[], _Network],
    rows: NDArray[np.int64],
    schedule: Schedule,
    seed: int,
    loss: Callable[[_Network, NDArray[np.int64], Learner], Tensor],
    measure: Callable[[_Network], dict[str, float]],
    weights: str,
    classes: Sequence[str],
) -> dict[str, float]:
    """Train a classifier and leave it in ``folder``, or go on where a killed run stopped.

    Args:
        folder: Holds the checkpoint, the weights, the names of the classes and the metrics.
        depends_on: The settings to which the checkpoint is tied, as JSON values.
        build: Makes the network, once everything is seeded.
        rows: The samples to learn from.
        schedule: How long and how fast it learns.
        seed: What every draw starts from.
        loss: The loss of the network on some rows, see :func:`train_epochs`.
        measure: Metrics of the network, after every epoch and in the end.
        weights: The name of the weights' file.
        classes: The names of the classes.

    Returns:
        The metrics in the end.
    """
    checkpoint = Checkpoint(folder, depends_on)
    state = checkpoint.load()
    seed_everything(seed)
    network = build()
    train_epochs(
        network,
        checkpoint,
        state,
        rows=rows,
        schedule=schedule,
        seed=seed,
        loss=lambda chosen, learner: loss(network, chosen, learner),
        measure=lambda: measure(network),
    )
    metrics = measure(network)
    save_network(folder / weights, network, classes=classes, metrics=metrics)
    return metrics


def train_epochs(
    network: nn.Module,
    checkpoint: Checkpoint,
    state: dict[str, Any] | None,
    *,
    rows: NDArray[np.int64],
    schedule: Schedule,
    seed: int,
    loss: Callable[[NDArray[np.int64], Learner], Tensor],
    measure: Callable[[], dict[str, float]],
) -> None:
    """Train ``network``, or go on where a killed run stopped; a checkpoint and a line of metrics an epoch.

    Args:
        state: What the checkpoint holds.
        rows: The samples to learn from.
        loss: The loss of some of them, in increasing order, computed where and how the learner says.
        measure: Metrics after every epoch.

    Raises:
        DivergedError: If the loss is no longer a number; the checkpoint is that of the epoch before.
    """
    size = min(schedule.batch, len(rows))
    learner = Learner(
        network,
        rate=schedule.rate,
        weight_decay=schedule.weight_decay,
        updates=schedule.epochs * (len(rows) // size),
        warm_up=0.15,
        clip=schedule.clip,
        precision=schedule.precision,
    )
    learner.restore(state)
    while learner.done < schedule.epochs:
        start, epoch = time.monotonic(), learner.done
        order = seed_everything(seed, epoch).permutation(rows)
        network.train()
        losses = [
            learner.learn(loss(share(np.sort(order[first : first + size])), learner))
            for first in range(0, len(order) - size + 1, size)
        ]
        learner.done += 1
        line = {"epoch": epoch, "loss": learner.mean(losses), "seconds": time.monotonic() - start}
        network.eval()
        checkpoint.log(line | measure())
        checkpoint.save(learner.state())
    network.eval()
