"""The last stage of any trunk: what is tuned first, for it has most to do with what it was made for."""

from __future__ import annotations

from torch import nn

from training.models.encoder import FeatureEncoder

_SHARE = 4
"""One in so many blocks is in the last stage."""


def kept_parts(encoder: FeatureEncoder, *, all_of_it: bool) -> list[nn.Module]:
    """Return what of an encoder does not learn: all but its projection, or but that and the last stage."""
    parts = [part for name, part in encoder.named_children() if name not in ("trunk", "project")]
    return [*parts, encoder.trunk] if all_of_it else parts + split(encoder.trunk)[0]


def split(trunk: nn.Module) -> tuple[list[nn.Module], list[nn.Module]]:
    """Return the blocks of a trunk before its last stage, and those of it: the last quarter, rounded up.

    Blocks are the children that have weights; where one of them has most of the weights, its children are
    blocks in its place, and so on: ResNet's stages, EfficientNet's list of blocks, a transformer's layers.
    """
    blocks = [trunk]
    while True:
        sizes = [_weights(block) for block in blocks]
        largest = max(range(len(blocks)), key=lambda number: sizes[number])
        inner = [child for child in blocks[largest].children() if _weights(child)]
        if not inner or (len(blocks) > 1 and 2 * sizes[largest] <= sum(sizes)):
            break
        blocks[largest : largest + 1] = inner
        if len(blocks) >= 4 * _SHARE:
            break
    last = -(-len(blocks) // _SHARE)
    return blocks[:-last], blocks[-last:]


def _weights(module: nn.Module) -> int:
    return sum(weight.numel() for weight in module.parameters())
