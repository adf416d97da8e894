"""What a section is: a function that gives its record, or says why it could not run."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

Section = Callable[[], dict[str, Any]]


class NotRunError(Exception):
    """Something that the section needs is not here."""


def needs(package: str) -> ModuleType:
    """The package, or NotRunError."""
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NotRunError(f"{package} cannot be imported: {error}") from None


def needs_torch() -> Any:
    """PyTorch on a GPU, or NotRunError."""
    torch = needs("torch")
    if not torch.cuda.is_available():
        raise NotRunError("PyTorch sees no GPU")
    return torch


def status(good: bool) -> str:
    """In words."""
    return "passed" if good else "failed"
