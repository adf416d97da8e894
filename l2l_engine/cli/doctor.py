"""What this machine has, what it lacks, and whether the engine works on it."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console

from l2l_engine.backends import EngineCache
from l2l_engine.backends.gpu import count_gpus, find_gpu
from l2l_engine.backends.tensorrt import FLAVOURS, Flavour, load_library
from l2l_engine.classifier import Classifier
from l2l_engine.cli import selftest
from l2l_engine.cli.show import literal
from l2l_engine.errors import DeviceError, L2LError
from l2l_engine.gpu.device import device_name
from l2l_engine.gpu.loading import why_not
from l2l_engine.machine import processors

_PACKAGES = ("l2l_engine", "numpy", "av", "openvino", "safetensors")
_DALI = "nvidia-dali-cuda130"
_CPU_FLAGS = ("avx2", "avx512f", "avx512_bf16", "amx_bf16", "amx_int8")


def report(out: Console, plan: Path | None = None, device: str = "auto") -> bool:
    """Print the findings; True if every test passed.

    Args:
        out: Where to print.
        plan: A plan to load and to predict with; None tests decoder and skimmer alone.
        device: What the plan is loaded on.
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
        healthy &= _plan_test(out, plan, device)
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
    yield "processor", f"{processors()} threads, {', '.join(flags) or platform.machine()}"
    yield from (("gpu" if i == 0 else "", said) for i, said in enumerate(_gpus()))
    for flavour in FLAVOURS:
        yield "", _tensorrt(flavour)
    yield "", f"{_DALI} {_version(_DALI) or f'not installed (pip install {_DALI})'}"
    yield "cache", _cache()


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


def _gpus() -> Iterator[str]:
    try:
        count = count_gpus()
    except DeviceError as error:
        yield f"{error}; predictions run on the processor"
        return
    for number in range(count):
        try:
            missing = why_not(number)
        except DeviceError as error:
            missing = str(error)
        there = f"device={device_name(number)} is there for predictions, and not yet run on a GPU"
        yield f"{find_gpu(number)}; {missing or there}"


def _tensorrt(flavour: Flavour) -> str:
    try:
        return f"{flavour} {load_library(flavour).api.__version__}"
    except DeviceError as error:
        return str(error)


def _cache() -> str:
    state = EngineCache().state()
    content = f"{state.engines} engines, {state.size / 1e6:.1f} MB"
    return f"{state.folder}: {content if state.problem is None else f'not used: {state.problem}'}"


def _plan_test(out: Console, plan: Path, device: Any) -> bool:
    loads = []
    try:
        for _ in range(2):  # the second finds engines that the first may have had to build
            begin = time.perf_counter()
            with Classifier(plan, device=device) as classifier:
                loads.append(f"{time.perf_counter() - begin:.2f} s")
                answer = classifier.predict(selftest.sample_video())
    except Exception as error:
        out.print(f"{'plan':<12} [red]{literal(_told(error))}[/red]")
        return False
    seconds = answer.timings.total
    out.print(
        f"{'plan':<12} [green]passed[/green]: a 2 s video in {seconds * 1000:.0f} ms, {answer.device}, "
        f"{answer.precision}, "
        f"loaded in {loads[0]}, again in {loads[1]}"
    )
    return True
