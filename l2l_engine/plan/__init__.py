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
from l2l_engine.plan.segments import SegmentSettings
from l2l_engine.plan.shapes import Dimensions, moment_weights, runnable_weights, skim_shapes
from l2l_engine.plan.tags import PREFIXES, TagSettings, tag_classes

__all__ = [
    "FORMAT_VERSION",
    "MAX_BATCH",
    "MAX_STEPS",
    "PRECISIONS",
    "PREFIXES",
    "CompiledSettings",
    "Dimensions",
    "MediaSettings",
    "Plan",
    "PlanDocument",
    "RecogniserSettings",
    "SamplingSettings",
    "SegmentSettings",
    "SkimSettings",
    "TagSettings",
    "moment_weights",
    "read_plan",
    "runnable_weights",
    "skim_shapes",
    "tag_classes",
    "write_compiled",
    "write_plan",
]
