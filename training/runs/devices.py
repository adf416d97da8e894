"""Where training computes: one CPU or GPU, or under ``torchrun`` one of them for each process.

Accelerate finds the device and joins the processes; every process holds the whole network and learns from
its share of each batch.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import broadcast, gather_object, reduce
from numpy.typing import NDArray
from torch import Tensor, nn

from training.errors import InputError

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
_PATIENCE = timedelta(days=2)
"""One process decodes a set while the others wait for it."""

_working_alone = False

_Arguments = ParamSpec("_Arguments")
_Item = TypeVar("_Item")
_Rows = TypeVar("_Rows", bound="Sequence[object] | NDArray[Any] | Tensor")


def rank() -> int:
    """Return the number of this process, from 0. Workers that decode for a process have its number."""
    return int(os.environ.get("RANK", "0"))


def lead() -> bool:
    """Return whether this is the process that writes files and messages."""
    return rank() == 0


def processes() -> PartialState:
    """Return this process among its peers; the first call joins them."""
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    options = {"timeout": _PATIENCE} if several else {}
    return PartialState(cpu=not torch.cuda.is_available(), **options)


def together() -> int:
    """Return how many processes work on the same thing now."""
    return 1 if _working_alone else processes().num_processes


@contextmanager
def alone() -> Iterator[None]:
    """Work without the other processes: within, nothing is shared, averaged or waited for."""
    global _working_alone  # noqa: PLW0603 - one a process, as the processes themselves are
    before, _working_alone = _working_alone, True
    try:
        yield
    finally:
        _working_alone = before


@contextmanager
def lead_first() -> Iterator[None]:
    """Let the leading process go first, and by itself, so that the others find what it wrote."""
    if together() > 1 and not lead():
        wait()
    with alone():
        yield
    if together() > 1 and lead():
        wait()


def by_lead(work: Callable[_Arguments, _Item]) -> Callable[_Arguments, _Item | None]:
    """Let the leading process do ``work`` by itself; the others wait, and get None."""

    @wraps(work)
    def run(*args: _Arguments.args, **options: _Arguments.kwargs) -> _Item | None:
        result = None
        if lead():
            with alone():
                result = work(*args, **options)
        wait()
        return result

    return run


def wait() -> None:
    """Wait until every process is here."""
    if together() > 1:
        processes().wait_for_everyone()


def _number() -> int:
    """Return the number of this process among those that work together."""
    return 0 if together() == 1 else processes().process_index


def share(rows: _Rows) -> _Rows:
    """Return this process's rows of a batch that all of them drew alike; equally many for each.

    Raises:
        InputError: If there are fewer rows than processes.
    """
    count = together()
    if len(rows) < count:
        raise InputError(f"a batch of {len(rows)} cannot be shared by {count} processes")
    return rows[: len(rows) // count * count][_number() :: count]  # type: ignore[return-value]


def part(rows: Sequence[_Item]) -> Sequence[_Item]:
    """Return this process's part of some work: together, the processes have all of it."""
    return rows[_number() :: together()]


def gather(items: list[_Item]) -> list[_Item]:
    """Return the lists of all processes, one after the other."""
    if together() == 1:
        return items
    gathered: list[_Item] = gather_object(items)
    return gathered


def place(network: nn.Module, *tensors: Tensor) -> tuple[Tensor, ...]:
    """Put tensors on the device where the network is."""
    device = next(network.parameters()).device
    return tuple(tensor.to(device, non_blocking=True) for tensor in tensors)


def autocast(precision: str, device: torch.device) -> torch.autocast:
    """Return the context in which a network computes in ``precision``, one of ``PRECISIONS``."""
    dtype = _DTYPES[resolve(precision, device)]
    return torch.autocast(device.type, dtype=dtype, enabled=dtype != torch.float32)


def resolve(precision: str, device: torch.device) -> str:
    """Return what "auto" means on a device: bf16 where it can, fp16 where it must.

    Raises:
        ValueError: If ``precision`` is none of ``PRECISIONS``.
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision is {precision!r}; it can be {', '.join(PRECISIONS)}")
    if precision != "auto":
        return precision
    if device.type == "cuda" and not torch.cuda.is_bf16_supported(including_emulation=False):
        return "fp16"
    return "bf16"


@torch.no_grad()
def align(tensors: Iterable[Tensor]) -> None:
    """Give every process the leading one's values."""
    if together() > 1:
        for tensor in tensors:
            tensor.copy_(broadcast(tensor.detach()))


@torch.no_grad()
def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors, equally many and large in every process, by their means over the processes."""
    if together() == 1 or not tensors:
        return
    # One collective for all of them.
    flat = reduce(torch.cat([tensor.detach().flatten().float() for tensor in tensors]), "mean")
    for tensor, mean in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(mean.view_as(tensor))
