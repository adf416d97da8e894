"""What a section gives: a record that keeps apart what was measured and whether a goal was met."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Iterable
from types import ModuleType
from typing import Any

Section = Callable[[], dict[str, Any]]
Record = dict[str, Any]

RUNNING, DONE, FAILED, NOT_RUN = "running", "done", "failed", "not run"
"""States of a record. "done" says that a section came to its end, whatever its figures are."""
PART = "part of a section: "
"""What a line begins with that holds one."""


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


def goal(
    what: str, value: float | None, *, at_least: float | None = None, at_most: float | None = None
) -> dict[str, Any]:
    """A goal and how it came out; without bounds, ``value`` itself says so. None was not measured."""
    met = None if value is None else bool(value)
    if value is not None and at_least is not None:
        met = value >= at_least
    elif value is not None and at_most is not None:
        met = value <= at_most
    bounds = {"at least": at_least, "at most": at_most}
    return {"what": what, "value": value, "met": met} | {k: v for k, v in bounds.items() if v is not None}


def all_met(goals: Iterable[dict[str, Any]]) -> bool | None:
    """False if any was missed; else None if any was not measured."""
    states = [each["met"] for each in goals]
    return False if False in states else None if None in states else True


def finished(goals: list[dict[str, Any]], summary: str, **figures: Any) -> Record:
    """The record of a section that measured all that it could."""
    return {
        "state": DONE,
        "measured": True,
        "goal met": all_met(goals),
        "goals": goals,
        "summary": summary,
        **figures,
    }


def broken(state: str, reason: str, **figures: Any) -> Record:
    """The record of a section that failed, or was not run."""
    return {"state": state, "measured": False, "goal met": None, "reason": reason, **figures}


def part(name: str, value: Any) -> None:
    """Say what is known by now: it is in the files before the section ends, and stays if it never does."""
    print(PART + json.dumps({name: value}), flush=True)


def as_part(line: str) -> dict[str, Any] | None:
    """What :func:`part` said, if this line is one."""
    if not line.startswith(PART):
        return None
    try:
        said: dict[str, Any] = json.loads(line.removeprefix(PART))
    except ValueError:
        return None  # two programs wrote at once
    return said


def tried(problems: dict[str, str], name: str, work: Callable[[], Any]) -> Any:
    """What ``work`` gives; None, and the problem by name, where it fails: the others go on."""
    try:
        return work()
    except Exception as error:
        problems[name] = f"{type(error).__name__}: {error}"[:500]
        return None
