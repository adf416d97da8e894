"""Engines that are built before they are needed: into a plan, or into this machine's cache."""

from l2l_engine.engines.build import DEFAULT_BATCH, INPUTS, Section, build_section, require_fit
from l2l_engine.engines.cache import CacheState, EngineCache
from l2l_engine.engines.choice import load_engine

__all__ = [
    "DEFAULT_BATCH",
    "INPUTS",
    "CacheState",
    "EngineCache",
    "Section",
    "build_section",
    "load_engine",
    "require_fit",
]
