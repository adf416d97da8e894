"""One network in training: its optimiser, its schedule, and how far it has come."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR


class Learner:
    """AdamW under a one-cycle schedule with clipped gradients.

    Args:
        network: What learns.
        rate: Greatest learning rate.
        weight_decay: Of AdamW.
        updates: Length of the schedule.
        warm_up: Share of the schedule until the greatest rate.
        clip: Greatest norm of the gradient.

    Attributes:
        done: Stages finished, epochs or updates, as the caller counts them.
    """

    def __init__(
        self,
        network: nn.Module,
        *,
        rate: float,
        weight_decay: float,
        updates: int,
        warm_up: float,
        clip: float,
    ) -> None:
        self.done = 0
        self._network, self._clip = network, clip
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=weight_decay)
        self._schedule = OneCycleLR(self._optimiser, rate, total_steps=updates + 1, pct_start=warm_up)

    def learn(self, loss: Tensor) -> Tensor:
        """One update; returns the loss, detached."""
        self._optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._clip)
        self._optimiser.step()
        self._schedule.step()
        return loss.detach()

    def state(self) -> dict[str, Any]:
        """Everything a checkpoint must hold."""
        return {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "done": self.done,
        }

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from a checkpoint, if there is one."""
        if state is not None:
            self._network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._schedule.load_state_dict(state["schedule"])
            self.done = int(state["done"])
