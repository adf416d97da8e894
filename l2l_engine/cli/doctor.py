"""What this machine has, what it lacks, and whether the engine works on it."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.markup import escape

from l2l_engine.media import knots, timestamps
from l2l_engine.skim import Skimmer

_PACKAGES = ("l2l_engine", "numpy", "av", "openvino", "safetensors")
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")


def report(out: Console) -> bool:
    """Print the findings; True if the self-test passed."""
    for name, fact in _facts():
        out.print(f"{name:<12} {escape(fact)}")
    problem = self_test()
    out.print(
        f"{'self-test':<12} {'[green]passed[/green]' if problem is None else f'[red]{escape(problem)}[/red]'}"
    )
    return problem is None


def _facts() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in _PACKAGES:
        yield package, _version(package)
    flags = [flag for flag in _CPU_FLAGS if flag in _cpu_flags()]
    yield "processor", f"{len(os.sched_getaffinity(0))} threads, {', '.join(flags) or platform.machine()}"
    yield "gpu", _gpu()


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return set(lines[0].partition(":")[2].split()) if lines else set()


def _gpu() -> str:
    if shutil.which("nvidia-smi") is None:
        return "no NVIDIA driver found; predictions run on the processor"
    return "a driver is there, but this version has no GPU pipeline yet; predictions run on the processor"


def self_test() -> str | None:
    """Skim a tiny made-up video whose answer is known: the class its only feature points at."""
    one, eye = np.ones((1, 1), np.float32), np.eye(2, dtype=np.float32)
    zero = np.zeros
    weights: dict[str, np.ndarray] = {
        "fusion.0.weight": np.concatenate([eye, eye], axis=1),
        "fusion.0.bias": zero(2),
        "fusion.1.weight": eye,
        "fusion.1.bias": zero(2),
        "lstm.weight_ih": zero((4, 2)),
        "lstm.weight_hh": zero((4, 1)),
        "lstm.bias": zero(4),
        "modality.weight": zero((2, 1)),
        "modality.bias": zero(2),
        "classifier.weight": eye,
        "classifier.bias": zero(2),
    }
    for modality in ("image", "audio"):
        weights |= {f"key_{modality}.weight": zero((1, 2)), f"key_{modality}.bias": zero(1)}
        weights |= {f"query_{modality}.0.weight": one, f"query_{modality}.0.bias": zero(1)}
    times = timestamps(4.0, 1.0)
    bank = np.tile(np.array([1, 3], np.float32), (2, 1))
    skimmer = Skimmer({name: np.asarray(weight, np.float32) for name, weight in weights.items()})
    at = knots(times, 2)
    logits = skimmer.run(bank[None], bank[None], at[None], at[None], times[None], 3).logits[0]
    expected = np.array([2, 6], np.float32)
    return None if np.allclose(logits, expected) else f"the skimmer gave {logits}, expected {expected}"
