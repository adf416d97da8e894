"""Checkpoints as flat tables of named tensors, read without running anything that is in them."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

Shape = tuple[int | None, ...]


def read_tensors(paths: Sequence[Path]) -> dict[str, Tensor]:
    """Return all tensors of one or more checkpoints, by their full names.

    State dicts may lie in other dictionaries (``{"state_dict": ...}``); the names are joined by dots.
    ``module.``, which data-parallel training puts before names, is left out.

    Args:
        paths: Files of ``torch.save``, or safetensors files.

    Raises:
        OSError: If a file cannot be read.
        ValueError: If a file is no checkpoint, holds anything but weights and plain values, or two files
            hold different tensors of one name.
    """
    tensors: dict[str, Tensor] = {}
    for path in paths:
        found = dict(_flatten(_load(path)))
        if not found:
            raise ValueError(f"{path}: there are no tensors in this file")
        for name, tensor in found.items():
            if name in tensors and not _same(tensor, tensors[name]):
                raise ValueError(f"{path}: tensor {name} is another one in a file before")
            tensors[name] = tensor
    return tensors


def _load(path: Path) -> Any:
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise ValueError(f"{path}: this is no intact safetensors file: {error}") from error
    with path.open("rb"):
        pass  # a file that is missing is no damaged checkpoint
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        reason = "it is no checkpoint, or holds objects or code besides weights, which is never loaded"
        raise ValueError(f"{path}: {reason}") from error
    except (RuntimeError, EOFError, KeyError, ValueError, TypeError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ValueError(f"{path}: this is no intact checkpoint: {reason}") from error


def _flatten(value: Any, name: tuple[str, ...] = ()) -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        parts = ".".join(name).split(".")
        yield ".".join(part for part in parts if part != "module"), value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _flatten(item, (*name, str(key)))


def _same(first: Tensor, second: Tensor) -> bool:
    return first.shape == second.shape and torch.equal(first, second)


class Table:
    """Tensors looked up by name, or by the end of it; remembers which were used.

    Whatever a project puts before a name (``net_imageAudio.``, ``skim.``) says where a module was kept,
    not what it is.
    """

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors = dict(tensors)
        self._used: set[str] = set()

    def names(self, ending: str) -> list[str]:
        """Return the full names that are ``ending`` or end in a dot and ``ending``."""
        return [name for name in self._tensors if name == ending or name.endswith(f".{ending}")]

    def shape(self, name: str) -> tuple[int, ...]:
        """Return the shape of the tensor of this full name."""
        return tuple(self._tensors[name].shape)

    def find(self, ending: str, shape: Shape) -> NDArray[np.float64]:
        """Return the one tensor whose name ends so, as :meth:`take` gives it.

        Raises:
            ValueError: If there is none, or there are several of different values.
        """
        names = self.names(ending)
        if not names:
            raise ValueError(f"tensor {ending} is missing")
        if any(not _same(self._tensors[names[0]], self._tensors[name]) for name in names[1:]):
            raise ValueError(f"{ending} is several tensors: {', '.join(names)}")
        self._used.update(names)
        return self.take(names[0], shape)

    def take(self, name: str, shape: Shape) -> NDArray[np.float64]:
        """Return the tensor of this full name in float64; None in ``shape`` stands for any side.

        Raises:
            ValueError: If it is missing, misshapen or not finite.
        """
        if name not in self._tensors:
            raise ValueError(f"tensor {name} is missing")
        found = self.shape(name)
        if len(found) != len(shape) or any(
            side not in {None, size} for size, side in zip(found, shape, strict=True)
        ):
            raise ValueError(f"tensor {name} has shape {_written(found)}, expected {_written(shape)}")
        values: NDArray[np.float64] = self._tensors[name].detach().to(torch.float64).numpy()
        if not np.isfinite(values).all():
            raise ValueError(f"tensor {name} holds values that are not finite")
        self._used.add(name)
        return values

    def ignore(self, *names: str) -> None:
        """Count these as used: they are known, and no part of what is computed."""
        self._used.update(names)

    def left_over(self) -> tuple[str, ...]:
        """Return the full names of what was not used."""
        return tuple(sorted(self._tensors.keys() - self._used))


def _written(shape: Shape) -> str:
    return "x".join("any" if side is None else str(side) for side in shape) or "scalar"
