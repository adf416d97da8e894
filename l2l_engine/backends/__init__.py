"""Inference engines for the plan's graphs: one file an engine, behind one small protocol."""

from l2l_engine.backends.encoder import Encoder, LanedEncoder

__all__ = ["Encoder", "LanedEncoder"]
