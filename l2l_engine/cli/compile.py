"""Engines into a plan, built from its graphs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import get_args

from rich.console import Console

from l2l_engine.backends import EngineCache, Section, build_section
from l2l_engine.backends.builder import Batch, Builder
from l2l_engine.backends.tensorrt import Flavour, TensorRTBuilder
from l2l_engine.cli.show import literal, runs_on
from l2l_engine.errors import DeviceError
from l2l_engine.plan import read_plan, write_compiled

BACKENDS = (*get_args(Flavour), "openvino")


def compile_plan(
    out: Console, source: Path, target: Path, *, backend: str | None, precision: str, batch: str | None
) -> None:
    """Build the engine of every network, write the plan with them, and record that this machine did.

    Args:
        out: Where to print what was built.
        source: The plan.
        target: Where the plan with engines goes; may be the same.
        backend: One of :data:`BACKENDS`; by default the first of them that can build here.
        precision: The precision of the graphs.
        batch: "MIN,OPT,MAX"; None for the backend's default.

    Raises:
        PlanError: If the plan has no such graphs, or they cannot be built.
        DeviceError: If something that building takes is missing.
        ValueError: If an option is no backend or no batch.
    """
    sizes = None if batch is None else _parse_batch(batch)
    plan = read_plan(source)
    builder = _builder(backend)
    cache = EngineCache()
    sections: dict[str, Section] = {}
    for part in plan.document.parts:
        begin = time.perf_counter()
        settings, engine = build_section(plan, f"{part}.{precision}", builder, sizes)
        seconds = time.perf_counter() - begin
        out.print(f"{part:<10} {precision}, {len(engine) / 1e6:.2f} MB, built in {seconds:.1f} s")
        sections[f"{builder.name}.{part}"] = settings, engine
    written = write_compiled(target, plan, sections)
    for name, (settings, _) in sections.items():
        cache.record(builder.name, settings, written.tensors[f"compiled.{name}"]["sha256"])
    for words in dict.fromkeys(runs_on(settings) for settings, _ in sections.values()):
        out.print(f"{literal(str(target))}: {builder.name} {literal(words)}")


def _builder(backend: str | None) -> Builder:
    if backend is None:
        for name in get_args(Flavour):
            try:
                builder = TensorRTBuilder(name)
                _ = builder.device
            except DeviceError:
                continue
            return builder
        backend = "openvino"
    if backend not in BACKENDS:
        raise ValueError(f"--backend must be one of {', '.join(BACKENDS)}, not {backend!r}")
    if backend == "openvino":
        # Costs a third of a second, so that it is not imported with the command line.
        from l2l_engine.backends.openvino import OpenVINOBuilder  # noqa: PLC0415

        return OpenVINOBuilder()
    return TensorRTBuilder(backend)  # type: ignore[arg-type]  # checked above


def _parse_batch(text: str) -> Batch:
    try:
        least, best, most = map(int, text.split(","))
    except ValueError as error:
        raise ValueError(f"--batch must be MIN,OPT,MAX, not {text!r}") from error
    if not 1 <= least <= best <= most:
        raise ValueError(f"--batch must be three sizes that increase, not {text!r}")
    return least, best, most
