"""Networks of the paper's size with random weights, as `python -m training export --random` makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmarks.gpu.section import finished, needs

if TYPE_CHECKING:
    from benchmarks.networks import Networks

PRECISIONS = ("fp32", "fp16")
TOOLS = ("torch", "torchaudio", "torchvision", "onnx", "onnxscript")
"""What exporting takes; what was exported is checked by OpenVINO, or by ONNX Runtime."""


def networks() -> Networks:
    """Return the plan, exported if it is not there yet, and the modules it came from.

    Raises:
        NotRunError: A tool is missing.
    """
    for tool in TOOLS:
        needs(tool)
    from benchmarks.networks import PAPER, networks  # noqa: PLC0415 - it takes them all

    return networks(PAPER, PRECISIONS)


def plan_path() -> Path:
    """The plan alone, exported if it is not there yet.

    Raises:
        NotRunError: A tool is missing.
    """
    for tool in TOOLS:
        needs(tool)
    from benchmarks.networks import PAPER, plan_path  # noqa: PLC0415 - it takes them all

    return plan_path(PAPER, PRECISIONS)


def plan() -> dict[str, Any]:
    """Exports the plan, which other sections take."""
    made = networks().plan
    megabytes = made.path.stat().st_size / 1e6
    words = f"{', '.join(sorted(made.graphs))}, {megabytes:.0f} MB"
    return finished([], words, graphs=sorted(made.graphs), megabytes=megabytes)
