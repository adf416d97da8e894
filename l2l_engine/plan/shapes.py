"""Do the skimmer's tensors add up? The table of DESIGN section 6, as checks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from l2l_engine.errors import PlanError
from l2l_engine.plan.document import MODALITIES, PlanDocument

Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True, slots=True)
class Dimensions:
    """Sizes read off the skimmer's tensors: D, F, K, H and C of the design.

    K = H = 0 in presets ``clip`` and ``evidence``, which alone has scales, S; in preset ``tags`` all but C
    are 0, for there are no tensors.
    """

    feature: int
    fusion: int
    key: int
    hidden: int
    classes: int
    scales: int = 0


def check_skim_shapes(document: PlanDocument, shapes: Shapes) -> Dimensions:
    """Check that exactly the expected ``skim.`` tensors are there and that their shapes agree.

    Args:
        document: Says which modalities and preset the tensors belong to.
        shapes: Shape of every tensor, named without the ``skim.`` prefix.

    Raises:
        PlanError: Naming the first tensor that is missing, unknown, or of the wrong shape.
    """
    dims = _dimensions(document, shapes)
    expected = skim_shapes(document, dims, _query_size(document, dims, shapes))
    for name, shape in expected.items():
        if name not in shapes:
            raise PlanError(f"tensor skim.{name} is missing")
        if shapes[name] != shape:
            raise PlanError(f"tensor skim.{name} has shape {shapes[name]}, expected {shape}")
    unknown = sorted(shapes.keys() - expected.keys())
    if unknown:
        raise PlanError(f"tensor skim.{unknown[0]} is unknown")
    if dims.classes != len(document.classes):
        raise PlanError(
            f"the classifier has {dims.classes} rows, the plan names {len(document.classes)} classes"
        )
    return dims


def _dimensions(document: PlanDocument, shapes: Shapes) -> Dimensions:
    def side(name: str, axis: int) -> int:
        shape = shapes.get(name)
        if shape is None:
            raise PlanError(f"tensor skim.{name} is missing")
        if len(shape) != 2 or min(shape) < 1:
            raise PlanError(f"tensor skim.{name} has shape {shape}, expected two sides of at least 1")
        return shape[axis]

    if document.skim.preset == "tags":
        return Dimensions(feature=0, fusion=0, key=0, hidden=0, classes=len(document.classes))
    skims = document.skim.skims
    return Dimensions(
        feature=side("fusion.1.weight", 0),
        fusion=side("fusion.1.weight", 1),
        key=side(f"key_{document.modalities[0]}.weight", 0) if skims else 0,
        hidden=side("lstm.weight_hh", 1) if skims else 0,
        classes=side("classifier.weight", 0),
        scales=_scales(shapes) if document.skim.preset == "evidence" else 0,
    )


def _scales(shapes: Shapes) -> int:
    shape = shapes.get("pool.seconds")
    if shape is None:
        raise PlanError("tensor skim.pool.seconds is missing")
    if len(shape) != 1 or shape[0] < 1:
        raise PlanError(f"tensor skim.pool.seconds has shape {shape}, expected one side of at least 1")
    return shape[0]


def _query_size(document: PlanDocument, dims: Dimensions, shapes: Shapes) -> dict[str, int]:
    """Rows of the query's first layer, by modality; the reader takes any."""
    return {m: shapes.get(f"query_{m}.0.weight", (dims.hidden,))[0] for m in document.modalities}


def skim_shapes(
    document: PlanDocument, dims: Dimensions, query_sizes: Mapping[str, int] | None = None
) -> dict[str, tuple[int, ...]]:
    """Shape of every ``skim.`` tensor, named without that prefix.

    Args:
        document: Says which modalities and preset the tensors belong to.
        dims: D, F, K, H and C.
        query_sizes: Size between the two layers of a ``released`` query, by modality; H by default.
    """
    d, f, k, h = dims.feature, dims.fusion, dims.key, dims.hidden
    expected: dict[str, tuple[int, ...]] = {}
    if document.skim.preset == "tags":
        return expected

    def linear(name: str, rows: int, columns: int) -> None:
        expected[f"{name}.weight"] = (rows, columns)
        expected[f"{name}.bias"] = (rows,)

    linear("fusion.0", f, d * len(document.modalities))
    linear("fusion.1", d, f)
    linear("classifier", dims.classes, d)
    if document.segments is not None:
        linear("moment", dims.classes, f)
    if document.skim.preset == "evidence":
        expected |= {f"pool.{name}": (dims.scales,) for name in ("seconds", "sharpness", "weight")}
    if not document.skim.skims:
        return expected
    for modality in document.modalities:
        linear(f"key_{modality}", k, d)
        query = f"query_{modality}"
        if document.skim.preset == "released":
            inner = (query_sizes or {}).get(modality, h)
            linear(f"{query}.0", inner, h)
            linear(f"{query}.1", k, inner)
        else:
            linear(f"{query}.0", k, h)
        if document.skim.preset == "paired":
            linear(f"pair_{modality}.0", f, 2 * d)
            linear(f"pair_{modality}.1", d, f)
    if len(document.modalities) == 2:
        linear("modality", 2, h)
    expected["lstm.weight_ih"] = (4 * h, d)
    expected["lstm.weight_hh"] = (4 * h, h)
    expected["lstm.bias"] = (4 * h,)
    return expected


def runnable_weights(
    document: PlanDocument, skim: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]]:
    """The skimmer's weights as every device runs them: float32, and those of an audio-only plan widened.

    The head of moments is none of them: see :func:`moment_weights`.

    A skimmer runs with pictures, or with both; with sound alone it runs as one of both does for a file
    without pictures. There the image feature is a zero row and the modality scores are (0, 1), whatever the
    weights, so zeros stand for what an audio-only plan does not have, and the numbers are those of its own
    formula.

    Args:
        document: Says which modalities and preset the tensors belong to.
        skim: The plan's tensors, named without the ``skim.`` prefix.
    """
    weights = {
        name: weight.astype(np.float32) for name, weight in skim.items() if not name.startswith("moment.")
    }
    document = replace(document, segments=None)
    if document.modalities != ("audio",) or not weights:
        return weights
    shapes = {name: weight.shape for name, weight in weights.items()}
    dims = _dimensions(document, shapes)
    inner = dict.fromkeys(MODALITIES, _query_size(document, dims, shapes)["audio"])
    wide = skim_shapes(replace(document, modalities=MODALITIES), dims, inner)
    made = {name: np.zeros(shape, np.float32) for name, shape in wide.items()} | weights
    first = np.zeros(wide["fusion.0.weight"], np.float32)
    first[:, dims.feature :] = weights["fusion.0.weight"]
    return made | {"fusion.0.weight": first}


def moment_weights(
    document: PlanDocument, skim: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[np.float32]] | None:
    """What tells of every moment which classes happen in it; None for a plan that does not tell.

    Arguments and names of tensors are those of :func:`runnable_weights`, which gives what joins and fuses the
    features; beside it there is the head, ``moment`` [C, F].
    """
    if document.segments is None:
        return None
    own = {name: skim[name].astype(np.float32) for name in ("moment.weight", "moment.bias")}
    return runnable_weights(document, skim) | own
