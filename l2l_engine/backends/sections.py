"""From a graph of a plan to an engine and the settings that say where it comes from."""

from __future__ import annotations

import numpy as np

from l2l_engine.backends.builder import Batch, Builder
from l2l_engine.errors import PlanError
from l2l_engine.plan import CompiledSettings, Plan

INPUTS: dict[str, type[np.generic]] = {"image": np.uint8, "audio": np.float32, "recogniser": np.uint8}
"""What the graph of each part takes."""

DEFAULT_BATCH: Batch = (1, 32, 128)
"""Samples a call; 32 is what one prediction asks for, more come from several videos at once."""

CLIP_BATCH: Batch = (1, 4, 16)
"""The same of a recogniser that sees clips: each is as large as 16 frames, and there are T-1 at most."""

Section = tuple[CompiledSettings, bytes]


def wanted(plan: Plan, name: str, builder: Builder, batch: Batch | None = None) -> CompiledSettings:
    """Settings of the engine that this machine would build.

    Args:
        plan: Holds the graph.
        name: The graph's name, "<part>.<precision>".
        builder: Builds engines for the backend.
        batch: Samples a call; :data:`DEFAULT_BATCH` by default, less for clips.

    Raises:
        PlanError: If the plan has no such graph.
        DeviceError: If this machine lacks the device.
        ValueError: If ``batch`` is given but the backend takes any number of samples.
    """
    part, _, precision = name.partition(".")
    if name not in plan.graphs:
        there = [f"graph.{graph}" for graph in sorted(plan.graphs) if graph.startswith(f"{part}.")]
        raise PlanError(f"{plan.path}: there is no graph.{name}, only {', '.join(there) or 'others'}")
    if builder.any_batch and batch is not None:
        raise ValueError(f"batch is {batch}, but engines of {builder.name} take any number of samples")
    return CompiledSettings(
        precision=precision,
        graph=plan.tensors[f"graph.{name}"]["sha256"],
        version=builder.version,
        device=builder.device,
        batch=None if builder.any_batch else batch or _default_batch(plan, part),
    )


def _default_batch(plan: Plan, part: str) -> Batch:
    recogniser = plan.document.recogniser
    clips = part == "recogniser" and recogniser is not None and recogniser.kind == "clip"
    return CLIP_BATCH if clips else DEFAULT_BATCH


def build_section(plan: Plan, name: str, builder: Builder, batch: Batch | None = None) -> Section:
    """Build the engine of one graph; arguments and errors as for :func:`wanted`."""
    settings = wanted(plan, name, builder, batch)
    dtype = INPUTS[name.partition(".")[0]]
    try:
        engine = builder.build(name, plan.graphs[name], dtype=dtype, batch=settings.batch)
    except PlanError as error:
        raise PlanError(f"{plan.path}: {error}") from error
    return settings, engine


def require_fit(plan: Plan, name: str, takes: tuple[int, ...], gives: int) -> None:
    """Refuse a network that does not take or give what the plan says.

    Args:
        plan: Says it.
        name: The graph's name, "<part>.<precision>".
        takes: Shape of one sample.
        gives: Values for each.

    Raises:
        PlanError: If so.
    """
    part, media, recogniser = name.partition(".")[0], plan.document.media, plan.document.recogniser
    expected: dict[str, tuple[int, ...]] = {"image": (media.crop, media.crop, 3), "audio": (media.window,)}
    if recogniser is not None:
        expected["recogniser"] = recogniser.input_shape
    if takes != expected[part]:
        raise PlanError(f"graph.{name} takes {takes}, the plan says {expected[part]}")
    classes = len(plan.document.classes)
    if part == "recogniser":
        if gives != classes:
            raise PlanError(f"graph.{name} gives {gives} scores, the plan names {classes} classes")
        return
    feature = plan.features(part)
    if gives != feature:
        takes_them = "the skimmer takes" if plan.document.tags is None else "the plan's tags are"
        raise PlanError(f"graph.{name} gives {gives} features, {takes_them} {feature}")
