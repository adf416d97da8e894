"""What this machine has, what it lacks, and whether the engine works on it."""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from rich.console import Console

from l2l_engine.classifier import Classifier
from l2l_engine.cli import selftest
from l2l_engine.cli.show import literal
from l2l_engine.errors import L2LError

_PACKAGES = ("l2l_engine", "numpy", "av", "openvino", "safetensors")
_GPU_PACKAGES = {
    "tensorrt": "pip install tensorrt-cu13, from NVIDIA's index",
    "tensorrt-rtx-cu13-bindings": "pip install tensorrt-rtx-cu13-libs tensorrt-rtx-cu13-bindings",
    "nvidia-dali-cuda130": "pip install nvidia-dali-cuda130",
}
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")


def report(out: Console, plan: Path | None = None) -> bool:
    """Print the findings; True if every test passed.

    Args:
        out: Where to print.
        plan: A plan to load and to predict with; None tests decoder and skimmer alone.
    """
    for name, fact in _facts():
        out.print(f"{name:<12} {literal(fact)}")
    tests = {"decoder": selftest.decoder, "skimmer": selftest.skimmer}
    healthy = True
    for name, test in tests.items():
        problem = _problem(test)
        healthy &= problem is None
        out.print(
            f"{name:<12} {'[green]passed[/green]' if problem is None else f'[red]{literal(problem)}[/red]'}"
        )
    if plan is not None:
        healthy &= _plan_test(out, plan)
    return healthy


def _problem(test: Callable[[], str | None]) -> str | None:
    """What the test says; what it raises is an answer too, for this command is meant for broken machines."""
    try:
        return test()
    except Exception as error:
        return _told(error)


def _told(error: Exception) -> str:
    return str(error) if isinstance(error, L2LError) else f"{type(error).__name__}: {error}"


def _facts() -> Iterator[tuple[str, str]]:
    yield "python", f"{platform.python_version()} on {platform.platform()}"
    for package in _PACKAGES:
        yield package, _version(package) or "not installed"
    present = _cpu_flags()
    flags = [flag for flag in _CPU_FLAGS if flag in present]
    yield "processor", f"{len(os.sched_getaffinity(0))} threads, {', '.join(flags) or platform.machine()}"
    yield "gpu", _gpu()
    for package, remedy in _GPU_PACKAGES.items():
        yield "", f"{package} {_version(package) or f'not installed ({remedy})'}"


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _cpu_flags() -> set[str]:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return set()
    lines = [line for line in text.splitlines() if line.startswith(("flags", "Features"))]
    return set(lines[0].partition(":")[2].split()) if lines else set()


def _gpu() -> str:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return "no NVIDIA driver (libcuda.so.1): predictions run on the processor"
    return "a driver is there; this version has no GPU pipeline yet, predictions run on the processor"


def _plan_test(out: Console, plan: Path) -> bool:
    try:
        with Classifier(plan) as classifier:
            answer = classifier.predict(selftest.sample_video())
    except Exception as error:
        out.print(f"{'plan':<12} [red]{literal(_told(error))}[/red]")
        return False
    seconds = answer.timings.total
    out.print(
        f"{'plan':<12} [green]passed[/green]: a 2 s video in {seconds * 1000:.0f} ms, {answer.precision}"
    )
    return True
