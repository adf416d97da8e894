"""What an averaging plan holds behind its trunks: projections, Psi and a classifier; and sums of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from training.frozen.cache import MODALITIES, VideoEmbeddings
from training.frozen.pooling import TRANSFORMS, interpolated
from training.frozen.probe import Probe, Streams


@dataclass(frozen=True, slots=True)
class Block:
    """Some numbers of a feature: ``weight @ transform(embedding) + bias``.

    Attributes:
        transform: See :data:`training.frozen.pooling.TRANSFORMS`.
        weight: float64 [D, E].
        bias: float64 [D].
    """

    transform: str
    weight: Tensor
    bias: Tensor

    def __call__(self, embeddings: Tensor) -> Tensor:
        """Project embeddings [..., E] to [..., D]."""
        return TRANSFORMS[self.transform](embeddings) @ self.weight.T + self.bias


Affine = tuple[Tensor, Tensor]
"""Weight [out, in] and bias [out]."""


@dataclass(frozen=True, slots=True)
class ClipHead:
    """A head that says ``classifier(mean over moments of Psi(z^I, z^A))``, as preset ``clip`` of a plan does.

    All tensors are float64.

    Attributes:
        projections: By modality, the blocks that z is made of; z has D numbers of each modality.
        hidden: Psi's first layer, to F from D times the modalities.
        output: Psi's second layer, from F to D.
        classifier: From D to C.
    """

    projections: Mapping[str, tuple[Block, ...]]
    hidden: Affine
    output: Affine
    classifier: Affine

    @property
    def streams(self) -> Streams:
        """The modalities that it uses."""
        return tuple(self.projections)

    @property
    def size(self) -> int:
        """D."""
        return len(self.output[1])

    def project(self, modality: str, embeddings: Tensor) -> Tensor:
        """Return z [..., D] of embeddings [..., E]."""
        return torch.cat([block(embeddings) for block in self.projections[modality]], dim=-1)

    def scores(self, videos: Sequence[VideoEmbeddings], factor: int = 1) -> Tensor:
        """Return logits float64 [V, C], as a plan of this factor gives them; what is absent adds nothing."""
        said = []
        for video in videos:
            rows = {}
            for name in self.streams:
                views, valid = video.modality(name)
                if bool(valid[::factor].any()):
                    z = self.project(name, views[0].double())
                    rows[name] = interpolated(z, valid, video.hop, factor)
            said.append(self._classify(rows))
        return torch.stack(said)

    def averaged(self, embeddings: Mapping[str, Tensor]) -> Tensor:
        """Return logits float64 [C] of embeddings [N, E] by modality, every moment of which is known."""
        return self._classify({name: self.project(name, rows) for name, rows in embeddings.items()})

    def _classify(self, features: Mapping[str, Tensor]) -> Tensor:
        """Return logits [C] of features z [N, D], of which an absent modality's are zero."""
        columns = dict(zip(self.streams, self.hidden[0].split(self.size, dim=1), strict=True))
        inner = self.hidden[1][None]
        for name, z in features.items():
            inner = inner + z @ columns[name].T
        fused = torch.relu(inner).mean(dim=0) @ self.output[0].T + self.output[1]
        return fused @ self.classifier[0].T + self.classifier[1]


def of_probe(probe: Probe) -> ClipHead:
    """Return a probe as an averaging plan computes it: relu(x) - relu(-x) is x."""
    eye = torch.eye(len(probe.bias), dtype=torch.float64)
    nothing = torch.zeros(len(probe.bias), dtype=torch.float64)
    both = torch.cat([eye] * len(probe.parts), dim=1)
    return ClipHead(
        {name: (Block(part.transform, part.weight, part.bias),) for name, part in probe.parts.items()},
        (torch.cat([both, -both]), torch.cat([nothing, nothing])),
        (torch.cat([eye, -eye], dim=1), nothing),
        (eye, probe.bias),
    )


def summed(heads: Sequence[ClipHead], shares: Sequence[float]) -> ClipHead:
    """Return the head whose logits are the weighted sum of some heads' logits, exactly."""
    streams = tuple(name for name in MODALITIES if any(name in head.streams for head in heads))
    projections = {
        name: tuple(block for head in heads for block in _blocks(head, name, heads)) for name in streams
    }
    hidden = torch.cat(
        [torch.block_diag(*(_columns(head, name) for head in heads)) for name in streams], dim=1
    )
    output = torch.block_diag(*(head.output[0] for head in heads))
    pairs = list(zip(heads, shares, strict=True))
    return ClipHead(
        projections,
        (hidden, torch.cat([head.hidden[1] for head in heads])),
        (output, torch.cat([head.output[1] for head in heads])),
        (
            torch.cat([share * head.classifier[0] for head, share in pairs], dim=1),
            torch.stack([share * head.classifier[1] for head, share in pairs]).sum(dim=0),
        ),
    )


def _columns(head: ClipHead, modality: str) -> Tensor:
    """Return the columns [F, D] of Psi's first layer for a modality; zero for one that it does not use."""
    if modality not in head.streams:
        return torch.zeros(len(head.hidden[1]), head.size, dtype=torch.float64)
    return head.hidden[0].split(head.size, dim=1)[head.streams.index(modality)]


def _blocks(head: ClipHead, modality: str, heads: Sequence[ClipHead]) -> tuple[Block, ...]:
    """Return a head's blocks for a modality; one of zeros for one that it does not use."""
    if modality in head.streams:
        return head.projections[modality]
    other = next(h.projections[modality][0] for h in heads if modality in h.streams)
    nothing = torch.zeros(head.size, other.weight.shape[1], dtype=torch.float64)
    return (Block("plain", nothing, nothing[:, 0]),)
