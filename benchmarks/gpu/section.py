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
    """Import a package.

    Raises:
        NotRunError: If it cannot be imported.
    """
    try:
        return importlib.import_module(package)
    except ImportError as error:
        raise NotRunError(f"{package} cannot be imported: {error}") from None


def needs_torch() -> Any:
    """Import PyTorch.

    Raises:
        NotRunError: If it cannot be imported, or sees no GPU.
    """
    torch = needs("torch")
    if not torch.cuda.is_available():
        raise NotRunError("PyTorch sees no GPU")
    return torch


def status(good: bool) -> str:
    """Return a section's status in words."""
    return "passed" if good else "failed"
