"""One network in training: its device, optimiser and schedule, and how far it has come."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import OneCycleLR
from tqdm import tqdm

from training.errors import DivergedError
from training.runs import devices


class Learner:
    """AdamW under a one-cycle schedule with clipped gradients, on one device or on several.

    The network moves to this process's device. Under ``torchrun`` every process takes its :func:`share` of a
    batch, and gradients, batch-norm statistics and losses are averaged at each update. They are averaged
    after the backward pass, rather than in hooks on the network's forward, so that a stage may call whichever
    parts of its network it likes; each update must reach the same weights in every process.

    Args:
        network: What learns.
        rate: Greatest learning rate.
        weight_decay: The weight decay of AdamW.
        updates: Length of the schedule.
        warm_up: Share of the schedule until the greatest rate.
        clip: Greatest norm of the gradient.
        precision: What :meth:`autocast` computes in: "auto" (bf16, or fp16 on GPUs without it), "fp32",
            "bf16" or "fp16".

    Attributes:
        done: Stages finished, epochs or updates, as the caller counts them.
        device: Where the network is.

    Raises:
        ValueError: If ``precision`` is unknown.
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
        precision: str = "auto",
    ) -> None:
        self.done = 0
        self.device = devices.processes().device
        self._precision = devices.resolve(precision, self.device)
        self._network, self._clip = network.to(self.device), clip
        devices.align([*network.parameters(), *network.buffers()])
        self._optimiser = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=weight_decay)
        self._schedule = OneCycleLR(self._optimiser, rate, total_steps=updates + 1, pct_start=warm_up)
        # Gradients in fp16 vanish unless they are scaled; a disabled scaler does nothing.
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=self._precision == "fp16")
        self._bar = tqdm(
            total=updates,
            desc=type(network).__name__,
            unit="update",
            # None: only on a terminal.
            disable=None if devices.lead() else True,
        )

    def autocast(self) -> torch.autocast:
        """Return the context in which the network computes in the configured precision."""
        return devices.autocast(self._precision, self.device)

    def place(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Put tensors on the network's device."""
        return devices.place(self._network, *tensors)

    def learn(self, loss: Tensor) -> Tensor:
        """Make one update, and return the loss, detached: over several processes, their mean."""
        self._optimiser.zero_grad(set_to_none=True)
        torch.autograd.backward(self._scaler.scale(loss))
        loss = loss.detach().clone()
        gradients = [weight.grad for weight in self._network.parameters() if weight.grad is not None]
        devices.average([*gradients, *self._statistics(), loss])
        self._scaler.unscale_(self._optimiser)
        torch.nn.utils.clip_grad_norm_(self._network.parameters(), self._clip)
        scale = self._scaler.get_scale()
        self._scaler.step(self._optimiser)
        self._scaler.update()
        if self._scaler.get_scale() >= scale:  # else gradients overflowed, and the update was left out
            self._schedule.step()
        self._advance(self._schedule.last_epoch)
        return loss

    def mean(self, losses: Sequence[Tensor]) -> float:
        """Return the mean of what :meth:`learn` returned since the last checkpoint.

        Raises:
            DivergedError: If that, or a weight, is no finite number, so that there is nothing to keep.
        """
        mean = float(torch.stack([loss.float() for loss in losses]).mean())
        kept = (value for value in self._network.state_dict().values() if value.is_floating_point())
        if not math.isfinite(mean) or not all(bool(value.isfinite().all()) for value in kept):
            raise DivergedError(
                f"{type(self._network).__name__} has diverged: its loss is {mean:g}, or its weights are no "
                "finite numbers. The last checkpoint is kept; a smaller rate may help"
            )
        return mean

    def state(self) -> dict[str, Any]:
        """Return everything a checkpoint must hold."""
        state = {
            "network": self._network.state_dict(),
            "optimiser": self._optimiser.state_dict(),
            "schedule": self._schedule.state_dict(),
            "done": self.done,
        }
        return state | {"scaler": self._scaler.state_dict()} if self._scaler.is_enabled() else state

    def restore(self, state: dict[str, Any] | None) -> None:
        """Continue from a checkpoint, if there is one."""
        if state is not None:
            self._network.load_state_dict(state["network"])
            self._optimiser.load_state_dict(state["optimiser"])
            self._schedule.load_state_dict(state["schedule"])
            if "scaler" in state and self._scaler.is_enabled():
                self._scaler.load_state_dict(state["scaler"])
            self.done = int(state["done"])
            self._advance(self._schedule.last_epoch)

    def _statistics(self) -> list[Tensor]:
        """Return what batch norms keep of their inputs: every process saw others."""
        kinds = ("running_mean", "running_var")
        return [value for name, value in self._network.named_buffers() if name.endswith(kinds)]

    def _advance(self, updates: int) -> None:
        self._bar.update(updates - self._bar.n)
        if self._bar.n >= (self._bar.total or 0):
            self._bar.close()
