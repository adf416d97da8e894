"""What every network of a plan is: pre-processing, and the network proper."""

from __future__ import annotations

from torch import Tensor, nn


class Encoder(nn.Module):
    """A network from what media decode to, in two parts that may compute in different precisions."""

    def forward(self, inputs: Tensor) -> Tensor:
        """Encode a batch."""
        return self.body(self.front(inputs))

    def front(self, inputs: Tensor) -> Tensor:
        """Pre-process, in float32 whatever the precision of the rest."""
        raise NotImplementedError

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        raise NotImplementedError
