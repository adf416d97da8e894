"""Samples on their way into a batch: on the host, or on the device already."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class DeviceSample:
    """A sample that is on the device already, there for whatever is queued on its encoder's stream.

    ``owner`` keeps its memory.
    """

    pointer: int
    owner: object


Sample = NDArray[Any] | DeviceSample


def in_a_row(samples: Sequence[Sample], step: int, alignment: int) -> int | None:
    """Where the samples lie, if they are on the device one behind the other from a multiple of bytes on."""
    found = list(runs(samples, step))
    first = found[0][1][0]
    if len(found) > 1 or not isinstance(first, DeviceSample) or first.pointer % alignment:
        return None
    return first.pointer


def runs(samples: Sequence[Sample], step: int) -> Iterator[tuple[int, Sequence[Sample]]]:
    """Neighbours that one copy brings: on the host, or one behind the other on the device."""
    begin = 0
    for i in range(1, len(samples) + 1):
        if i < len(samples) and _follows(samples[i - 1], samples[i], step):
            continue
        yield begin, samples[begin:i]
        begin = i


def _follows(before: Sample, after: Sample, step: int) -> bool:
    if isinstance(before, DeviceSample) and isinstance(after, DeviceSample):
        return after.pointer == before.pointer + step
    return not isinstance(before, DeviceSample) and not isinstance(after, DeviceSample)
