"""What every stage leaves behind: checkpoints that survive a kill, settings and metrics beside them."""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch


def write_atomically(path: Path, write: Callable[[IO[bytes]], object]) -> None:
    """Fill a temporary file beside ``path``, then rename it: a killed run leaves the old or the new file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
        # mkstemp keeps its files to their owner; these are as open as any other.
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def write_json(path: Path, value: Any) -> None:
    """Write JSON that a person can read."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    write_atomically(path, lambda file: file.write(text.encode()))


def fingerprint(value: Any) -> str:
    """A short hash of JSON values: equal settings, equal name."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def file_fingerprint(path: Path) -> str:
    """A short hash of a file's bytes."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


class Checkpoint:
    """The last state of a stage, tied to the settings that made it.

    Args:
        folder: Holds ``checkpoint.pt``, ``settings.json`` and ``metrics.jsonl``.
        settings: JSON values; a checkpoint of other settings is not continued but begun anew.
    """

    def __init__(self, folder: Path, settings: Any) -> None:
        self.folder = folder
        self.path = folder / "checkpoint.pt"
        self._settings = json.loads(json.dumps(settings))

    def load(self) -> dict[str, Any] | None:
        """The saved state, or None where this stage begins."""
        settings = self.folder / "settings.json"
        if self.path.exists() and settings.exists():
            if json.loads(settings.read_text(encoding="utf-8")) == self._settings:
                state: dict[str, Any] = torch.load(self.path, weights_only=True)
                return state
            print(f"{self.folder}: settings changed, beginning anew", flush=True)
        self.path.unlink(missing_ok=True)
        (self.folder / "metrics.jsonl").unlink(missing_ok=True)
        write_json(settings, self._settings)
        return None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state."""
        write_atomically(self.path, lambda file: torch.save(state, file))

    def log(self, metrics: dict[str, float]) -> None:
        """Append a line of metrics and print it."""
        line = json.dumps({name: round(float(value), 5) for name, value in metrics.items()})
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        print(f"{self.folder.name}: {line}", flush=True)


def seed_everything(*parts: int) -> np.random.Generator:
    """Seed PyTorch and return a generator of the same seed, e.g. (seed, epoch)."""
    sequence = np.random.SeedSequence(parts)
    torch.manual_seed(int(sequence.generate_state(1, np.uint64)[0] >> 1))
    return np.random.default_rng(sequence)
