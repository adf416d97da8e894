"""Engines for the plan's graphs: one file an engine, behind one protocol; built, cached and chosen."""

from l2l_engine.backends.cache import CacheState, EngineCache
from l2l_engine.backends.choice import load_engine
from l2l_engine.backends.encoder import Encoder, ReplicatedEncoder
from l2l_engine.backends.sections import DEFAULT_BATCH, INPUTS, Section, build_section, require_fit

__all__ = [
    "DEFAULT_BATCH",
    "INPUTS",
    "CacheState",
    "Encoder",
    "EngineCache",
    "ReplicatedEncoder",
    "Section",
    "build_section",
    "load_engine",
    "require_fit",
]
