"""Which tools made a plan."""

from __future__ import annotations

import platform

import onnx
import torch


def versions() -> dict[str, str]:
    """Return the versions that a plan's provenance names."""
    try:
        from openvino import __version__ as openvino  # noqa: PLC0415 - exporting can do without it
    except ImportError:
        openvino = "not there"
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "openvino": openvino,
    }
