"""What a figure depends on besides the code: GPU, driver, CUDA, clocks; and which code it was."""

from __future__ import annotations

import hashlib
import re
import shutil
from pathlib import Path

from benchmarks.gpu import processes

ROOT = Path(__file__).parents[2]
_CLOCKS = (
    "clocks.sm",
    "clocks.mem",
    "clocks.max.sm",
    "clocks.max.mem",
    "temperature.gpu",
    "power.draw",
    "pstate",
)
_SOURCES = ("benchmarks", "csrc", "l2l_engine", "tests", "training")


def device() -> str | None:
    """The first GPU's name; None where there is none."""
    return asked("name").get("name")


def capability() -> str | None:
    """The first GPU's compute capability as nvcc names it, e.g. "90"; None where nothing tells."""
    found = re.fullmatch(r"(\d+)\.(\d+)", asked("compute_cap").get("compute_cap", ""))
    return f"{found[1]}{found[2]}" if found else None


def clocks() -> dict[str, str]:
    """Clocks, heat and power now; empty where there is no GPU."""
    return asked(*_CLOCKS)


def facts(commit: str | None = None) -> dict[str, str | None]:
    """Device, driver, CUDA and commit.

    Args:
        commit: What to say where the sources came without their history.
    """
    return {
        "device": device(),
        "driver": asked("driver_version").get("driver_version"),
        "cuda": _cuda(),
        "commit": commit or _commit(),
        "sources": _digest(),
    }


def asked(*fields: str) -> dict[str, str]:
    """What nvidia-smi says of the first GPU."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return {}
    query = [program, f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
    done = processes.run(query, 15)
    values = [value.strip() for value in done.output.strip().splitlines()[0].split(",")] if done.good else []
    return dict(zip(fields, values, strict=True)) if len(values) == len(fields) else {}


def _cuda() -> str | None:
    program = shutil.which("nvcc")
    found = (
        re.search(r"release ([\d.]+)", processes.run([program, "--version"], 15).output) if program else None
    )
    return found[1] if found else None


def _commit() -> str | None:
    """The checkout's, marked where tracked files differ from it."""
    program = shutil.which("git")
    if program is None:
        return None
    head = processes.run([program, "rev-parse", "--short=12", "HEAD"], 15, cwd=ROOT)
    if not head.good:
        return None
    changed = processes.run([program, "status", "--porcelain", "--untracked-files=no"], 30, cwd=ROOT)
    return head.output.strip() + ("+changes" if changed.output.strip() else "")


def _digest() -> str:
    """Of all sources by name and content: it tells two trees apart where neither knows its commit."""
    whole = hashlib.sha256()
    for folder in _SOURCES:
        for path in sorted((ROOT / folder).rglob("*")):
            if (
                path.suffix in {".py", ".h", ".c", ".cpp", ".cu", ".toml", ".json"}
                and "results" not in path.parts
            ):
                whole.update(str(path.relative_to(ROOT)).encode() + b"\0" + path.read_bytes())
    return whole.hexdigest()[:16]
