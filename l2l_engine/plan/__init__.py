"""The plan: one safetensors file with everything a Classifier needs, every byte of it checked."""

from l2l_engine.plan.checks import MAX_BATCH
from l2l_engine.plan.document import (
    FORMAT_VERSION,
    MAX_STEPS,
    PRECISIONS,
    CompiledSettings,
    MediaSettings,
    PlanDocument,
    RecogniserSettings,
    SamplingSettings,
    SkimSettings,
)
from l2l_engine.plan.file import Plan, read_plan, write_compiled, write_plan
from l2l_engine.plan.shapes import Dimensions, skim_shapes

__all__ = [
    "FORMAT_VERSION",
    "MAX_BATCH",
    "MAX_STEPS",
    "PRECISIONS",
    "CompiledSettings",
    "Dimensions",
    "MediaSettings",
    "Plan",
    "PlanDocument",
    "RecogniserSettings",
    "SamplingSettings",
    "SkimSettings",
    "read_plan",
    "skim_shapes",
    "write_compiled",
    "write_plan",
]
