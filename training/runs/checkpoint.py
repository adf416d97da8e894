"""What every stage leaves behind: checkpoints that survive a kill, settings and metrics beside them."""

from __future__ import annotations

import json
import shutil
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import nn
from tqdm import tqdm

from training.errors import InputError
from training.runs import devices
from training.runs.files import write_atomically, write_json

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter


def save_network(
    path: Path,
    network: nn.Module,
    *,
    classes: Sequence[str] | None = None,
    metrics: Mapping[str, float] | None = None,
) -> None:
    """Write what later stages read; on return every process can.

    Args:
        path: The file of the weights; ``classes.txt`` and ``metrics.json`` go beside them.
        network: On any device.
        classes: Their names, if this is a classifier.
        metrics: How good it is.
    """
    weights = {name: value.cpu().contiguous() for name, value in network.state_dict().items()}
    if classes is not None:
        text = "".join(f"{name}\n" for name in classes)
        write_atomically(path.with_name("classes.txt"), lambda file: file.write(text.encode()))
    write_atomically(path, lambda file: file.write(save(weights)))
    if metrics is not None:
        write_json(path.with_name("metrics.json"), metrics)
    devices.wait()


def load_network(path: Path, network: nn.Module, *, made_by: str) -> None:
    """Put the weights that :func:`save_network` wrote into a network of the same settings.

    Args:
        path: The file of the weights.
        network: Any network.
        made_by: The command that makes the file, for the message where there is none.

    Raises:
        InputError: If the file is missing or damaged, or holds the weights of another network.
    """
    try:
        network.load_state_dict(load_file(path))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file yet; `python -m training {made_by}` makes it") from error
    except SafetensorError as error:
        raise InputError(f"{path}: this is no intact file of weights: {error}") from error
    except RuntimeError as error:
        why = " ".join(str(error).split())
        raise InputError(f"{path} was trained with other settings of the network: {why:.300}") from error


def read_classes(folder: Path, *, made_by: str) -> tuple[str, ...]:
    """Return the names of the classes that :func:`save_network` wrote.

    Raises:
        InputError: If they are not there.
    """
    path = folder / "classes.txt"
    try:
        return tuple(path.read_text(encoding="utf-8").splitlines())
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file yet; `python -m training {made_by}` makes it") from error


class Checkpoint:
    """The last state of a stage, tied to the settings that made it.

    Args:
        folder: Holds ``checkpoint.pt``, ``settings.json``, ``metrics.jsonl`` and TensorBoard's ``events``.
        settings: JSON values; a checkpoint of other settings is not continued but begun anew.
    """

    def __init__(self, folder: Path, settings: Any) -> None:
        self.folder = folder
        self.path = folder / "checkpoint.pt"
        self._settings = json.loads(json.dumps(settings))
        self._events: SummaryWriter | None = None

    def load(self) -> dict[str, Any] | None:
        """Return the saved state, on the CPU, or None where this stage begins."""
        with devices.lead_first():
            settings = self.folder / "settings.json"
            if self.path.exists() and settings.exists():
                if json.loads(settings.read_text(encoding="utf-8")) == self._settings:
                    state: dict[str, Any] = torch.load(self.path, weights_only=True, map_location="cpu")
                    return state
                print(f"{self.folder}: settings changed, beginning anew", flush=True)
            if devices.lead():
                self.path.unlink(missing_ok=True)
                (self.folder / "metrics.jsonl").unlink(missing_ok=True)
                shutil.rmtree(self.folder / "events", ignore_errors=True)
            write_json(settings, self._settings)
            return None

    def save(self, state: dict[str, Any]) -> None:
        """Replace the saved state."""
        write_atomically(self.path, lambda file: torch.save(state, file))

    def log(self, metrics: dict[str, float]) -> None:
        """Append a line of metrics, print it, and tell TensorBoard.

        The metric "update" or "epoch" is what TensorBoard draws the others over.
        """
        if not devices.lead():
            return
        line = json.dumps({name: round(float(value), 5) for name, value in metrics.items()})
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        with tqdm.external_write_mode():  # above the progress bar, if there is one
            print(f"{self.folder.name}: {line}", flush=True)
        step = int(metrics.get("update", metrics.get("epoch", 0)))
        events = self._writer(step)
        for name, value in metrics.items():
            if name not in ("update", "epoch"):
                events.add_scalar(name, float(value), step)
        events.flush()

    def _writer(self, step: int) -> SummaryWriter:
        """Return the events file of this process; what a killed run wrote from ``step`` on counts no more."""
        if self._events is None:
            from torch.utils.tensorboard import SummaryWriter  # noqa: PLC0415 - takes seconds

            self._events = SummaryWriter(str(self.folder / "events"), purge_step=step)
            weakref.finalize(self, self._events.close)
        return self._events
