"""Which tools made a plan."""

from __future__ import annotations

import platform

import onnx
import openvino
import torch


def versions() -> dict[str, str]:
    """Return the versions that a plan's provenance names."""
    return {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "onnx": onnx.__version__,
        "openvino": openvino.__version__,
    }
