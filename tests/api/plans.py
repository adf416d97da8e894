"""Small plans with random weights, for tests."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from numpy.typing import NDArray

from l2l_engine.errors import PlanError
from l2l_engine.plan import Plan, PlanDocument, SkimSettings, read_plan, write_plan


def random_skim(
    seed: int = 0, *, feature: int = 12, fusion: int = 20, key: int = 8, hidden: int = 16, classes: int = 3
) -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> NDArray[np.float32]:
        return (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)

    weights: dict[str, NDArray[np.float32]] = {}

    def linear(name: str, rows: int, columns: int) -> None:
        weights[f"{name}.weight"] = draw(rows, columns)
        weights[f"{name}.bias"] = draw(rows)

    linear("fusion.0", fusion, 2 * feature)
    linear("fusion.1", feature, fusion)
    for modality in ("image", "audio"):
        linear(f"key_{modality}", key, feature)
        linear(f"query_{modality}.0", key, hidden)
    linear("modality", 2, hidden)
    weights["lstm.weight_ih"] = draw(4 * hidden, feature)
    weights["lstm.weight_hh"] = draw(4 * hidden, hidden)
    weights["lstm.bias"] = draw(4 * hidden)
    linear("classifier", classes, feature)
    return weights


def random_pairing(seed: int = 1, *, feature: int = 12, fusion: int = 20) -> dict[str, NDArray[np.float32]]:
    """What preset ``paired`` has beside the others' tensors."""
    rng = np.random.default_rng(seed)
    shapes = {
        "0.weight": (fusion, 2 * feature),
        "0.bias": (fusion,),
        "1.weight": (feature, fusion),
        "1.bias": (feature,),
    }
    return {
        f"pair_{modality}.{name}": (rng.standard_normal(shape) / np.sqrt(shape[-1])).astype(np.float32)
        for modality in ("image", "audio")
        for name, shape in shapes.items()
    }


DOCUMENT = PlanDocument(
    classes=("ball bouncing", "box sliding", "star shaking"),
    skim=SkimSettings(steps=4),
    calibration=(1.5, 1.25, 1.1, 1.0),
    provenance={"data": "random weights"},
)


def write_small_plan(path: Path, document: PlanDocument = DOCUMENT, graph: bytes = b"no graph") -> Plan:
    """A plan whose graphs are placeholders: enough for the reader, not for a Classifier."""
    graphs = {"image.fp32": graph, "audio.fp32": graph}
    return write_plan(path, document, graphs=graphs, skim=random_skim())


def header_size(data: bytes) -> int:
    return 8 + int.from_bytes(data[:8], "little")


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(PlanError) as caught:
        read_plan(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def rewrite(path: Path, change: object, value: object) -> bytes:
    """The plan with one entry of its document changed and all hashes made right again."""
    data = path.read_bytes()
    document = json.loads(json.loads(data[8 : header_size(data)])["__metadata__"]["l2l"])
    assert isinstance(change, tuple)
    place = document
    for key in change[:-1]:
        place = place[key]
    place[change[-1]] = value
    text = json.dumps(document)
    metadata = {"l2l": text, "l2l_sha256": hashlib.sha256(text.encode()).hexdigest()}
    return safetensors.numpy.save(safetensors.numpy.load(data), metadata=metadata)
