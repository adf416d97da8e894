"""Reading and writing plan files. Nothing in a plan is executed, and no byte of it is believed unchecked."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors
import safetensors.numpy
from numpy.typing import NDArray

from l2l_engine.errors import PlanError, PlanNotFoundError
from l2l_engine.files import write_whole
from l2l_engine.machine import processors
from l2l_engine.plan.document import PRECISIONS, CompiledSettings, PlanDocument
from l2l_engine.plan.onnx import reads_another_file
from l2l_engine.plan.parsing import parse_document
from l2l_engine.plan.shapes import Dimensions, check_skim_shapes

MAX_PLAN_BYTES = 8 << 30
_DTYPES: dict[str, np.dtype[Any]] = {
    "U8": np.dtype(np.uint8),
    "F32": np.dtype(np.float32),
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
}
_NAMES = {dtype: name for name, dtype in _DTYPES.items()}
_BYTES_NAME = re.compile(
    rf"graph\.(image|audio|recogniser)\.({'|'.join(PRECISIONS)})"
    r"|compiled\.[a-z0-9_]{1,40}\.(image|audio|recogniser)"
)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """A verified plan in memory.

    Attributes:
        path: Where it was read from.
        document: Settings, class names, provenance.
        dimensions: Sizes of the skimmer.
        graphs: ONNX bytes by "<part>.<precision>", e.g. "image.fp32".
        compiled: Engine bytes by "<backend>.<part>".
        skim: The skimmer's weights by name without "skim."; float32, float16 or bfloat16.
        tensors: The table of every tensor: {"dtype", "shape", "sha256"}.
        sha256: Hash of the document, which holds the hash of every tensor: it identifies the plan.
    """

    path: Path
    document: PlanDocument
    dimensions: Dimensions
    graphs: Mapping[str, bytes]
    compiled: Mapping[str, bytes]
    skim: Mapping[str, NDArray[Any]]
    tensors: Mapping[str, Mapping[str, Any]]
    sha256: str

    def features(self, modality: str) -> int:
        """Numbers of one feature of "image" or "audio": D, or the logits of a plan of tags."""
        tags = self.document.tags
        return self.dimensions.feature if tags is None else len(tags[modality].names)


def read_plan(path: str | os.PathLike[str]) -> Plan:
    """Read a plan and check its structure, every hash, every shape and the format version.

    Raises:
        PlanNotFoundError: If there is no file.
        PlanError: If the file is no plan, damaged, of another version, or does not add up.
    """
    path = Path(path)
    data = _read_bytes(path)
    try:
        return _parse(path, data)
    except PlanError as error:
        raise type(error)(f"{path}: {error}") from error


def write_plan(
    path: str | os.PathLike[str],
    document: PlanDocument,
    *,
    graphs: Mapping[str, bytes],
    skim: Mapping[str, NDArray[Any]],
    compiled: Mapping[str, bytes] | None = None,
) -> Plan:
    """Write a plan: to a temporary file in the same folder, synced, then renamed over ``path``.

    Args:
        path: Where the plan goes.
        document: Settings, class names, provenance.
        graphs: ONNX bytes by "<part>.<precision>"; at least fp32 for each modality, and for the recogniser
            if the document has one.
        skim: The skimmer's weights (float32, float16 or bfloat16), named without "skim.".
        compiled: Engine bytes by "<backend>.<part>".

    Returns:
        The plan as it was read back from the written bytes.

    Raises:
        PlanError: If it does not add up; nothing is written then.
    """
    path = Path(path)
    tensors: dict[str, NDArray[Any]] = {}
    for name, graph in graphs.items():
        tensors[f"graph.{name}"] = np.frombuffer(graph, np.uint8)
    for name, engine in (compiled or {}).items():
        tensors[f"compiled.{name}"] = np.frombuffer(engine, np.uint8)
    for name, weight in skim.items():
        tensors[f"skim.{name}"] = np.ascontiguousarray(weight)
    data = _serialise(document, tensors)
    plan = _parse(path, data)
    write_whole(path, lambda file: file.write(data))
    return plan


def write_compiled(
    path: str | os.PathLike[str], plan: Plan, sections: Mapping[str, tuple[CompiledSettings, bytes]]
) -> Plan:
    """Write a plan again with compiled sections added; all else stays the same, byte for byte.

    Args:
        path: Where the new plan goes; may be the plan's own file.
        plan: The plan as it is.
        sections: By "<backend>.<part>"; a section of the same name is replaced.

    Raises:
        PlanError: If a section does not belong to the plan; nothing is written then.
    """
    settings = dict(plan.document.compiled) | {name: section[0] for name, section in sections.items()}
    engines = dict(plan.compiled) | {name: section[1] for name, section in sections.items()}
    document = dataclasses.replace(plan.document, compiled=settings)
    return write_plan(path, document, graphs=plan.graphs, skim=plan.skim, compiled=engines)


def _read_bytes(path: Path) -> bytes:
    try:
        # O_NONBLOCK: opening a named pipe must not wait for a writer.
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise PlanNotFoundError(f"{path}: there is no such plan") from error
    except (OSError, ValueError) as error:
        raise PlanError(f"{path}: the plan cannot be opened: {error}") from error
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise PlanError(f"{path}: the plan is no regular file")
        if status.st_size > MAX_PLAN_BYTES:
            raise PlanError(f"{path}: {status.st_size} bytes are more than a plan may have")
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read()
    except OSError as error:
        raise PlanError(f"{path}: the plan cannot be read: {error}") from error
    finally:
        os.close(descriptor)


def _parse(path: Path, data: bytes) -> Plan:
    try:
        # The library checks the header's length, JSON, names, dtypes and offsets against the file.
        entries = dict(safetensors.deserialize(data))  # type: ignore[no-untyped-call]
    except safetensors.SafetensorError as error:
        raise PlanError(f"this is no intact safetensors file: {error}") from error
    metadata = _metadata(data)
    text = metadata.get("l2l", "")
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
    if metadata.keys() != {"l2l", "l2l_sha256"} or metadata["l2l_sha256"] != digest:
        raise PlanError("this is no plan, or its document was changed after it was written")
    document, table = parse_document(text)
    _check_table(entries, table)
    weights = {name: entry for name, entry in entries.items() if name.startswith("skim.")}
    shapes = {name.removeprefix("skim."): tuple(entry["shape"]) for name, entry in weights.items()}
    dimensions = check_skim_shapes(document, shapes)
    graphs = _byte_sections(entries, "graph.")
    for part in document.parts:
        if f"{part}.fp32" not in graphs:
            raise PlanError(f"graph.{part}.fp32 is missing")
    for name, graph in graphs.items():
        if reads_another_file(graph):
            raise PlanError(f"graph.{name} keeps weights in another file")
    if document.recogniser is None and any(name.startswith("recogniser.") for name in graphs):
        raise PlanError("there is a graph.recogniser, and the document knows no recogniser")
    _check_compiled(document, table)
    return Plan(
        path=path,
        document=document,
        dimensions=dimensions,
        graphs=graphs,
        compiled=_byte_sections(entries, "compiled."),
        skim={name.removeprefix("skim."): _array(entry) for name, entry in weights.items()},
        tensors=table,
        sha256=digest,
    )


def _metadata(data: bytes) -> dict[str, str]:
    # safetensors hands metadata out only from a path; the header was validated by it just before.
    size = int.from_bytes(data[:8], "little")
    metadata: dict[str, str] = json.loads(data[8 : 8 + size]).get("__metadata__") or {}
    return metadata


def _check_table(entries: Mapping[str, Mapping[str, Any]], table: Mapping[str, Any]) -> None:
    if entries.keys() != table.keys():
        odd = sorted(entries.keys() ^ table.keys())
        raise PlanError(f"the file and its table of tensors differ in {odd[0]}")
    with ThreadPoolExecutor(processors()) as pool:
        digests = pool.map(lambda entry: hashlib.sha256(entry["data"]).hexdigest(), entries.values())
    for (name, entry), digest in zip(entries.items(), digests, strict=True):
        if entry["dtype"] not in _DTYPES:
            raise PlanError(f"tensor {name} has unknown dtype {entry['dtype']}")
        is_bytes = entry["dtype"] == "U8" and len(entry["shape"]) == 1
        if is_bytes != bool(_BYTES_NAME.fullmatch(name)) or not (is_bytes or name.startswith("skim.")):
            raise PlanError(f"tensor {name} has an unknown name or an unexpected dtype")
        found = {"dtype": entry["dtype"], "shape": list(entry["shape"]), "sha256": digest}
        if table[name] != found:
            raise PlanError(f"tensor {name} is not what the plan's table says: the file is damaged")
        if not is_bytes and not np.isfinite(_array(entry).astype(np.float32)).all():
            raise PlanError(f"tensor {name} holds values that are not finite")


def _check_compiled(document: PlanDocument, table: Mapping[str, Any]) -> None:
    """Every compiled section says where it comes from, and comes from this plan's graph."""
    sections = {name.removeprefix("compiled.") for name in table if name.startswith("compiled.")}
    odd = sorted(sections ^ document.compiled.keys())
    if odd:
        raise PlanError(f"compiled.{odd[0]} lacks its settings or its bytes")
    for name, settings in document.compiled.items():
        graph = f"graph.{name.partition('.')[2]}.{settings.precision}"
        if graph not in table or table[graph]["sha256"] != settings.graph:
            raise PlanError(f"compiled.{name} was built from another graph than {graph}")


def _array(entry: Mapping[str, Any]) -> NDArray[Any]:
    array: NDArray[Any] = np.frombuffer(entry["data"], _DTYPES[entry["dtype"]]).reshape(entry["shape"])
    array.flags.writeable = False
    return array


def _byte_sections(entries: Mapping[str, Mapping[str, Any]], prefix: str) -> dict[str, bytes]:
    return {
        name.removeprefix(prefix): bytes(entry["data"])
        for name, entry in entries.items()
        if name.startswith(prefix)
    }


def _serialise(document: PlanDocument, tensors: Mapping[str, NDArray[Any]]) -> bytes:
    table: dict[str, Any] = {}
    for name, array in tensors.items():
        if array.dtype not in _NAMES:
            raise PlanError(f"tensor {name} has dtype {array.dtype}, a plan holds {', '.join(_DTYPES)}")
        digest = hashlib.sha256(array.tobytes()).hexdigest()
        table[name] = {"dtype": _NAMES[array.dtype], "shape": list(array.shape), "sha256": digest}
    try:
        text = json.dumps(document.to_dict() | {"tensors": table}, allow_nan=False, sort_keys=True)
    except (TypeError, ValueError) as error:
        raise PlanError(f"the plan's document is not plain JSON: {error}") from error
    digest = hashlib.sha256(text.encode()).hexdigest()
    return _canonical(safetensors.numpy.save(dict(tensors), metadata={"l2l": text, "l2l_sha256": digest}))


def _canonical(data: bytes) -> bytes:
    """The same file with its header's keys sorted: the library leaves their order to chance."""
    end = 8 + int.from_bytes(data[:8], "little")
    header = json.dumps(json.loads(data[8:end]), sort_keys=True, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    return len(header).to_bytes(8, "little") + header + data[end:]
