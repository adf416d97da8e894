"""The ``l2l`` command."""

from l2l_engine.cli.main import main

__all__ = ["main"]
