"""Writes plans: of what was trained, or of random weights."""

from training.export.graphs import compare, example_inputs, to_onnx
from training.export.trained import export_plan, skim_tensors
from training.export.untrained import PRESETS, export_untrained

__all__ = [
    "PRESETS",
    "compare",
    "example_inputs",
    "export_plan",
    "export_untrained",
    "skim_tensors",
    "to_onnx",
]
