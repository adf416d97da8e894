"""The results file: one a kind of processor; a run replaces the sections and cases that it ran."""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import os
import platform
import re
import subprocess
from pathlib import Path
from typing import Any

import av

from benchmarks.harness import Case
from l2l_engine.machine import processors

FOLDER = Path(__file__).parent / "results"
PACKAGES = ("av", "numpy", "openvino", "torch", "torchaudio", "torchvision", "transformers")


def cpu_name() -> str:
    """Return what the processor calls itself."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def default_path() -> Path:
    """Return the file of this machine's processor."""
    slug = re.sub(r"[^a-z0-9]+", "-", cpu_name().lower()).strip("-")
    return FOLDER / f"cpu-{slug}.json"


def machine() -> dict[str, Any]:
    """Return what a time depends on besides the code."""
    flags = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    wanted = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cpu": cpu_name(),
        "cores": processors(),
        "features": [flag for flag in wanted if re.search(rf"\b{flag}\b", flags)],
        "memory_gib": round(memory, 1),
        "system": f"{platform.system()} {'.'.join(platform.release().split('.')[:2])}",
        "python": platform.python_version(),
        "versions": {name: _version(name) for name in PACKAGES},
        "ffmpeg": {name: ".".join(map(str, version)) for name, version in av.library_versions.items()},
    }


def _version(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    """Return the revision that ran, marked if the package or the benchmarks differ from it."""
    root = Path(__file__).parents[1]

    def git(*arguments: str) -> str:
        result = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
        return result.stdout.strip()

    changed = git(
        "status", "--porcelain", "--untracked-files=no", "--", "l2l_engine", "csrc", "benchmarks/*.py"
    )
    return git("rev-parse", "--short", "HEAD") + ("+changes" if changed else "")


def this_run() -> dict[str, Any]:
    """Return when, with which code, and how busy the machine is."""
    return {
        "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d"),
        "commit": commit(),
        "load": round(os.getloadavg()[0], 1),
    }


def write(cases: list[Case], path: Path) -> None:
    """Merge cases into the file."""
    plain = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    run = this_run()
    sections = plain.setdefault("sections", {})
    for case in cases:
        sections.setdefault(case.section, {})[case.name] = case.to_dict() | {"run": run}
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine(), "sections": sections}, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8")
