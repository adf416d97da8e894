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


class FeatureEncoder(Encoder):
    """A network that gives z^I or z^A: a trunk, whose output is the embedding, and a layer to another size.

    Attributes:
        trunk: From what :meth:`front` gives to [B, embedding_size].
        project: From the embedding to the feature: a linear layer, or the identity where the sizes agree.
        embedding_size: E.
        features: D, the size of the feature.
    """

    trunk: nn.Module
    project: nn.Module
    embedding_size: int
    features: int

    def _finish(self, embedding_size: int, features: int | None) -> None:
        """Set the sizes, and the layer between them."""
        self.embedding_size = embedding_size
        self.features = features or embedding_size
        same = self.features == embedding_size
        self.project = nn.Identity() if same else nn.Linear(embedding_size, self.features)

    def embed(self, inputs: Tensor) -> Tensor:
        """Return the embedding [B, E], of which :attr:`project` makes the feature."""
        embedding: Tensor = self.trunk(self.front(inputs))
        return embedding

    def body(self, x: Tensor) -> Tensor:
        """Compute the network proper."""
        features: Tensor = self.project(self.trunk(x))
        return features
