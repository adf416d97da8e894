"""Which engine is used: the plan's if it may be believed, else the cache's, else one built now."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal, TypeVar

from l2l_engine.backends.builder import Builder
from l2l_engine.backends.cache import EngineCache
from l2l_engine.backends.sections import build_section, wanted
from l2l_engine.errors import PlanError
from l2l_engine.plan import CompiledSettings, Plan

Origin = Literal["plan", "cache", "built"]
_T = TypeVar("_T")
_log = logging.getLogger("l2l_engine")


def load_engine(
    plan: Plan,
    name: str,
    builder: Builder,
    load: Callable[..., _T],
    *,
    trusted: bool = False,
    cache: EngineCache | None = None,
) -> tuple[_T, Origin]:
    """Load the engine of one graph.

    The plan's compiled section is used if this machine built it from the very same graph, or if it is
    trusted; in both cases only if it is for this version and device. Otherwise the engine comes from the
    cache, or is built from the graph and put there. One that does not load is built anew.

    Args:
        plan: Holds the graph, and the engine if it is compiled.
        name: The graph's name, "<part>.<precision>".
        builder: Builds engines for the backend.
        load: Makes an encoder, called as ``load(engine=...)``; PlanError if the engine is of no use.
        trusted: Believe a compiled section that this machine did not build.
        cache: This machine's by default.

    Returns:
        What ``load`` made, and where the engine came from.

    Raises:
        PlanError: If the plan has no such graph, or it cannot be built.
        DeviceError: If this machine lacks something that takes.
    """
    cache = EngineCache() if cache is None else cache
    settings = wanted(plan, name, builder)
    section = f"{builder.name}.{name.partition('.')[0]}"
    for origin, engine in _known(plan, section, settings, trusted, cache):
        begin = time.perf_counter()
        try:
            loaded = load(engine=engine)
        except PlanError as error:
            _log.warning("%s: %s from the %s is not used: %s", plan.path, section, origin, error)
        else:
            _log.info("%s: %s from the %s in %.2f s", plan.path, section, origin, _since(begin))
            return loaded, origin
    begin = time.perf_counter()
    _, engine = build_section(plan, name, builder)
    loaded = load(engine=engine)
    cache.put(builder.name, settings, engine)
    _log.info("%s: %s built from graph.%s in %.2f s", plan.path, section, name, _since(begin))
    return loaded, "built"


def _known(
    plan: Plan, section: str, settings: CompiledSettings, trusted: bool, cache: EngineCache
) -> Iterator[tuple[Origin, bytes]]:
    """Engines that need not be built, best first."""
    backend = section.partition(".")[0]
    compiled = plan.document.compiled.get(section)
    if compiled is not None:
        digest = plan.tensors[f"compiled.{section}"]["sha256"]
        if not (trusted or cache.has_built(backend, compiled, digest)):
            _log.info("%s: %s from the plan is not used: it was not built here", plan.path, section)
        elif not _serves(compiled, settings):
            level = logging.WARNING if trusted else logging.INFO
            _log.log(level, "%s: %s from the plan is for %s", plan.path, section, _words(compiled))
        else:
            yield "plan", plan.compiled[section]
    cached = cache.get(backend, settings)
    if cached is not None:
        yield "cache", cached


def _serves(compiled: CompiledSettings, settings: CompiledSettings) -> bool:
    """Whether the engine is what would be built here, or one for other batches that will do as well."""
    if replace(compiled, batch=None) != replace(settings, batch=None):
        return False
    if compiled.batch is None or settings.batch is None:
        return compiled.batch == settings.batch
    least, usual, _ = settings.batch
    return compiled.batch[0] <= least and compiled.batch[2] >= usual


def _since(begin: float) -> float:
    return time.perf_counter() - begin


def _words(compiled: CompiledSettings) -> str:
    # Quoted, for a file can claim anything, even characters that a terminal obeys.
    return f"{compiled.precision}, version {compiled.version!r}, {compiled.device!r}, batch {compiled.batch}"
